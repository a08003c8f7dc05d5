#include "cli/assets.h"

namespace attune {

fs::path find_assets() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  for (fs::path folder = program.parent_path(); folder != folder.root_path(); folder = folder.parent_path()) {
    for (const fs::path& assets : {folder / "assets", folder / "share" / "attune"}) {
      if (fs::exists(assets / "tiny" / "config.json")) return assets;
    }
  }
  throw NoAssets("[assets] assets/tiny is not beside {}; run it from the source tree it was built in",
                 program.string());
}

}  // namespace attune
