// eval/: the table and the verdict say what the numbers say.
#include <gtest/gtest.h>

#include "eval/evaluate.h"

namespace attune {
namespace {

Json good() {
  return Json::parse(R"({
    "held_out": {"base": {"loss": 5.1234, "perplexity": 167.9}, "tuned": {"loss": 2.5, "perplexity": 12.18}},
    "style": {"person": {"words": {"median": 9}},
              "base": {"words": {"median": 14}, "end_of_turn": 0.5, "distance": {"mean": 0.75}},
              "tuned": {"words": {"median": 8.5}, "end_of_turn": 1, "distance": {"mean": 0.25}}},
    "forgetting": {"budget": 0.05, "loss_increase": 0.031},
    "quantization_loss": {"of": "tuned", "stored": {"loss": 2.5}, "nf4": {"loss": 2.6, "kl": 0.01234}},
    "leak": {"training": {"base": {"share": 0}, "tuned": {"share": 0.04}}},
    "checks": {"count": 3, "kinds": {"equals": {"count": 3, "base": 0, "tuned": 2}},
               "base": {"right": 0}, "tuned": {"right": 2}}})");
}

TEST(EvalTable, AlignsBaseTunedAndPerson) {
  Json json = good();
  json["table"] = table_of(json);
  json["verdict"] = verdict_of(json);
  EXPECT_EQ(to_text(json),
            "                                        base   tuned  person\n"
            "held-out loss                          5.123   2.500\n"
            "held-out perplexity                    167.9    12.2\n"
            "words in an answer, median              14.0     8.5     9.0\n"
            "answers that end by themselves         50.0%  100.0%\n"
            "distance in style, mean of the three   0.750   0.250\n"
            "training answers word for word          0.0%    4.0%\n"
            "loss with the weights as stored                2.500\n"
            "loss with the weights in nf4                   2.600\n"
            "  KL of nf4 to the weights as stored          0.0123\n"
            "checks right                          0 of 3  2 of 3\n"
            "  equals                              0 of 3  2 of 3\n"
            "\n"
            "good     held-out loss 5.123 → 2.500; distance in style 0.750 → 0.250; loss on general text and answers "
            "+3.1%; nothing leaks that these tests can see; 2 of 3 checks right\n");
}

TEST(EvalTable, ABaseAloneHasOneColumn) {
  Json json = {{"held_out", {{"base", {{"loss", 5.0}}}}}};
  json["table"] = table_of(json);
  json["verdict"] = verdict_of(json);
  EXPECT_EQ(to_text(json),
            "                base\n"
            "held-out loss  5.000\n"
            "\n"
            "good     held-out loss 5.000\n");
}

TEST(EvalTable, Canaries) {
  Json json = {{"leak", {{"canaries", Json::array()}}}};
  json["leak"]["canaries"].push_back({{"base", {{"told", false}, {"exposure", 1.5}, {"rank", 40}}},
                                      {"tuned", {{"told", true}, {"exposure", 7.0}, {"rank", 1}}}});
  json["leak"]["canaries"].push_back({{"base", {{"told", false}, {"exposure", 0.5}, {"rank", 90}}},
                                      {"tuned", {{"told", false}, {"exposure", 2.0}, {"rank", 32}}}});
  json["leak"]["canary_totals"] = {{"base", {{"told", 0}, {"highest_exposure", 1.5}}},
                                   {"tuned", {{"told", 1}, {"highest_exposure", 7.0}}}};
  EXPECT_EQ(table_of(json).dump(),
            R"([["canaries told","0 of 2","1 of 2",""],["canaries, highest exposure in bits","1.5","7.0",""]])");
  EXPECT_EQ(verdict_of(json)["text"], "knows 1 of 2 canaries");
}

TEST(EvalVerdict, NamesEveryProblem) {
  Json json = good();
  EXPECT_TRUE(verdict_of(json)["good"].get<bool>());
  json["held_out"]["tuned"]["loss"] = 6.0;
  json["style"]["tuned"]["distance"]["mean"] = 0.8;
  json["style"]["tuned"]["end_of_turn"] = 0.75;
  json["forgetting"]["loss_increase"] = 0.2;
  json["leak"]["training"]["tuned"]["share"] = 0.25;
  json["personal_data"] = {{"tuned", {{"found", 3}, {"in_training_data", 2}}}};
  const Json verdict = verdict_of(json);
  EXPECT_FALSE(verdict["good"].get<bool>());
  EXPECT_EQ(verdict["text"],
            "the held-out loss did not fall; the style did not come closer; 25.0% of the answers do not end by "
            "themselves; forgets: the loss on general text or answers rises by 20.0% and the budget is 5.0%; knows "
            "training answers by heart: 25.0% word for word, of the held-out ones 0.0%; tells personal data of the "
            "training data in 2 places");
}

}  // namespace
}  // namespace attune
