// A model folder: one file, or shards behind an index whose names are not trusted.
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxIndex = 100'000'000;

// A plain name of a file in the folder itself.
bool is_plain_name(const std::string& name) {
  return name.ends_with(".safetensors") && name.find_first_of("/\\") == std::string::npos && !name.starts_with('.') &&
         name.find('\0') == std::string::npos;
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) : folder_(folder) {
  if (!fs::is_directory(folder)) throw UserError("[{}] no such folder; expected a model folder", folder.string());
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) {
    files_.emplace_back(single);
    for (const StoredTensor& tensor : files_[0].tensors()) index_.emplace(tensor.name, std::pair(0u, &tensor));
  } else if (fs::exists(index)) {
    open_shards(index);
  } else {
    throw UserError(
        "[{}] has no model.safetensors and no model.safetensors.index.json; expected a Hugging Face folder "
        "with safetensors weights",
        folder.string());
  }
}

void SafetensorsFolder::open_shards(const fs::path& index) {
  const std::string where = index.string();
  const SortedJson json = parse_sorted_json(read_file(index, kMaxIndex), where);
  const auto weight_map = json.is_object() ? json.find("weight_map") : json.end();
  if (weight_map == json.end() || !weight_map->is_object()) {
    throw BadFile("[{}] key \"weight_map\": expected an object of tensor and file names", where);
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : weight_map->items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>())) {
      throw BadFile("[{}] tensor {}: expected the name of a .safetensors file in the same folder, got {}", where,
                    tensor, to_json_line(Json(file)));
    }
    names.insert(file.get<std::string>());
  }
  std::map<std::string, std::size_t> position;
  for (const std::string& name : names) {
    if (!fs::exists(folder_ / name)) {
      throw BadFile("[{}] shard {} is missing; download the whole model folder", folder_.string(), name);
    }
    position.emplace(name, files_.size());
    files_.emplace_back(folder_ / name);
  }
  for (const auto& [tensor, file] : weight_map->items()) {
    const std::size_t shard = position.at(file.get<std::string>());
    const StoredTensor* const stored = files_[shard].find(tensor);
    if (stored == nullptr) {
      throw BadFile("[{}] tensor {} is not in {}, where the index says it is", where, tensor, file.get<std::string>());
    }
    index_.emplace(tensor, std::pair(shard, stored));
  }
}

const StoredTensor* SafetensorsFolder::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second.second;
}

std::vector<std::string> SafetensorsFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : index_) names.push_back(entry.first);
  return names;
}

const SafetensorsFile& SafetensorsFolder::file_of(const StoredTensor& tensor) const {
  return files_[index_.find(tensor.name)->second.first];
}

}  // namespace attune
