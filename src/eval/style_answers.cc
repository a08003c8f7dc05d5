// The manner of answers beside the person's own: what each voice says where the person said something.
#include <algorithm>

#include "eval/measures.h"
#include "eval/style.h"
#include "generate/answers.h"
#include "privacy/redactor.h"
#include "token/encode.h"

namespace attune {
namespace {

constexpr std::size_t kSamples = 8;

// A place where the person answered.
struct Place {
  std::string question;  // the last message before the answer
  std::string answer;
  std::vector<TokenId> prompt;
};

// Evenly over all answers of the conversations, those left out whose prompt leaves no room for an answer.
std::vector<Place> places_in(const Subject& subject, const std::vector<Conversation>& conversations) {
  std::vector<std::pair<const Conversation*, std::size_t>> all;
  for (const Conversation& conversation : conversations) {
    for (std::size_t i = 1; i < conversation.messages.size(); ++i) {
      if (conversation.messages[i].role == "assistant") all.emplace_back(&conversation, i);
    }
  }
  const std::int64_t room = subject.voices.front().model.config.max_position - subject.request.max_tokens;
  std::vector<Place> places;
  for (const std::size_t at : evenly(all.size(), subject.request.limit)) {
    const auto& [conversation, i] = all[at];
    const auto begin = conversation->messages.begin();
    Place place{begin[static_cast<std::ptrdiff_t>(i) - 1].content, begin[static_cast<std::ptrdiff_t>(i)].content, {}};
    place.prompt =
        encode_prompt({begin, begin + static_cast<std::ptrdiff_t>(i)}, *subject.chat_template, *subject.tokenizer);
    if (std::ssize(place.prompt) <= room) places.push_back(std::move(place));
  }
  return places;
}

std::vector<std::string> answers_in(const std::vector<Conversation>& conversations) {
  std::vector<std::string> answers;
  for (const Conversation& conversation : conversations) {
    for (const Message& message : conversation.messages) {
      if (message.role == "assistant") answers.push_back(message.content);
    }
  }
  return answers;
}

Json to_json(const StyleDistance& distance) {
  return {{"length", distance.length},
          {"words", distance.words},
          {"punctuation", distance.punctuation},
          {"mean", distance.mean()}};
}

Json words_of(const Style& style) {
  return {{"median", quantile(style.lengths(), 0.5)},
          {"mean", style.mean_length()},
          {"p90", quantile(style.lengths(), 0.9)}};
}

std::vector<std::string> texts_of(const std::vector<GivenAnswer>& answers) {
  std::vector<std::string> texts;
  for (const GivenAnswer& answer : answers) texts.push_back(answer.text);
  return texts;
}

Json style_of(const std::vector<GivenAnswer>& answers, const Style& person) {
  const Style style(texts_of(answers));
  const auto ended = std::ranges::count_if(answers, &GivenAnswer::ended);
  return {{"words", words_of(style)},
          {"end_of_turn", static_cast<double>(ended) / static_cast<double>(answers.size())},
          {"distance", to_json(StyleDistance(style, person))}};
}

// What looks like personal data in answers, and how much of it stands in the training data word for word.
Json personal_data_in(const std::vector<GivenAnswer>& answers, const std::vector<Conversation>& train) {
  const auto learnt = [&](const std::string& text) {
    return std::ranges::any_of(train, [&](const Conversation& conversation) {
      return std::ranges::any_of(conversation.messages, [&](const Message& message) {
        return message.content.find(text) != std::string::npos;
      });
    });
  };
  Json kinds = Json::object();
  std::int64_t found = 0, from_training = 0;
  for (const GivenAnswer& answer : answers) {
    for (const Finding& data : find_private(answer.text)) {
      ++found;
      from_training += learnt(answer.text.substr(data.begin, data.end - data.begin));
      const std::string kind(private_kind_name(data.kind));
      kinds[kind] = kinds.value(kind, std::int64_t{0}) + 1;
    }
  }
  return {{"found", found}, {"in_training_data", from_training}, {"kinds", kinds}};
}

}  // namespace

StyleResults measure_style(Subject& subject) {
  const EvalRequest& request = subject.request;
  const std::vector<Place> places = places_in(subject, request.valid);
  if (places.empty()) return {};
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> own;
  for (const Place& place : places) {
    prompts.push_back(place.prompt);
    own.push_back(place.answer);
  }
  std::vector<std::vector<GivenAnswer>> given;
  for (const Voice& voice : subject.voices) {
    given.push_back(answer_all(voice.model, *subject.tokenizer, subject.stops, prompts,
                               {request.sampler, request.max_tokens, request.act},
                               request.watch.counting("answers, " + voice.name, prompts.size())));
  }

  StyleResults results;
  const Style person(own);
  results.style = {{"answers", places.size()}, {"person", {{"words", words_of(person)}}}};
  // How far the person is from themselves: as many of their answers in the training data beside the held-out ones.
  const std::vector<std::string> trained = answers_in(request.train);
  std::vector<std::string> others;
  for (const std::size_t i : evenly(trained.size(), std::ssize(own))) others.push_back(trained[i]);
  if (!others.empty()) results.style["person"]["distance"] = to_json(StyleDistance(Style(others), person));
  results.personal_data = Json::object();
  for (std::size_t v = 0; v < given.size(); ++v) {
    results.style[subject.voices[v].name] = style_of(given[v], person);
    results.personal_data[subject.voices[v].name] = personal_data_in(given[v], request.train);
  }
  results.samples = Json::array();
  for (const std::size_t i : evenly(places.size(), kSamples)) {
    Json sample = {{"prompt", places[i].question}};
    for (std::size_t v = 0; v < given.size(); ++v) sample[subject.voices[v].name] = given[v][i].text;
    sample["person"] = places[i].answer;
    results.samples.push_back(std::move(sample));
  }
  return results;
}

}  // namespace attune
