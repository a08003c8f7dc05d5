// The six measures of an evaluation, each as the part of eval.json that it becomes; docs/EVAL.md says what the numbers
// mean. Numbers by voice stand under "base" and "tuned"; "tuned" is absent when there is only a base. A measure that has
// nothing to measure returns null. Each throws Interrupted (see eval/watch.h).
#pragma once

#include "base/json.h"
#include "eval/subject.h"

namespace attune {

Json measure_held_out(Subject& subject);      // loss and perplexity on the held-out conversations
Json measure_forgetting(Subject& subject);    // loss and KL to the base on general text and questions
Json measure_quantization(Subject& subject);  // loss and KL of the held forms of the weights to the stored ones
Json measure_leak(Subject& subject);          // training answers word for word, canaries
Json measure_checks(Subject& subject);        // the user's own questions

// Answers to the prompts of the held-out conversations: their manner, the personal data in them, a few to look at.
struct StyleResults {
  Json style, personal_data, samples;
};
StyleResults measure_style(Subject& subject);

// A part's numbers by voice: {"base": of(base), "tuned": of(tuned)}.
template <typename Function>
Json by_voice(const Subject& subject, Function of) {
  Json json = Json::object();
  for (const Voice& voice : subject.voices) json[voice.name] = of(voice);
  return json;
}

// NaN and infinity have no place in JSON: null.
Json number_or_null(double value);

}  // namespace attune
