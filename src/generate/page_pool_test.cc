// Pages of the cache: who has them, what is given up first, and which prompts find theirs again; and the guesses of
// prompt lookup.
#include "generate/page_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "generate/prompt_lookup.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<TokenId> page_of(TokenId token) { return std::vector<TokenId>(kPageTokens, token); }

TEST(PagePool, APageReturnsWhenItsLastUserLeaves) {
  PagePool pool(2);
  const PageId page = pool.take();
  pool.share(page);
  pool.release(page);
  EXPECT_EQ(pool.used(), 1);
  pool.release(page);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_THROW(pool.release(page), InternalError);
  pool.take();
  pool.take();
  EXPECT_THROW(pool.take(), InternalError);
}

TEST(PagePool, FindsPagesByAllThatCameBefore) {
  PagePool pool(4);
  const PageId first = pool.take(), second = pool.take();
  const PrefixName a = pool.learn(first, PagePool::root(-1), page_of(1));
  const PrefixName b = pool.learn(second, a, page_of(2));
  EXPECT_NE(a, b);
  EXPECT_EQ(pool.find(PagePool::root(-1), page_of(1))->page, first);
  EXPECT_EQ(pool.find(a, page_of(2))->name, b);
  EXPECT_FALSE(pool.find(PagePool::root(-1), page_of(2)));
  EXPECT_FALSE(pool.find(PagePool::root(0), page_of(1))) << "under another adapter";
  EXPECT_EQ(pool.learn(pool.take(), PagePool::root(-1), page_of(1)), a) << "known already";
  EXPECT_EQ(pool.known(), 2);
}

TEST(PagePool, KnownPagesStayUntilTheirPlaceIsNeeded) {
  PagePool pool(3);
  const PageId first = pool.take(), second = pool.take();
  const PrefixName a = pool.learn(first, PagePool::root(-1), page_of(1));
  pool.learn(second, a, page_of(2));
  pool.release(second);  // last page first
  pool.release(first);
  EXPECT_EQ(pool.available(), 3);
  const PageId third = pool.take();
  EXPECT_EQ(pool.known(), 2) << "a free page is taken before a known one";
  pool.share(first);  // in use again: not to be given up
  EXPECT_EQ(pool.take(), second);
  EXPECT_FALSE(pool.find(a, page_of(2)));
  EXPECT_TRUE(pool.find(PagePool::root(-1), page_of(1)));
  EXPECT_EQ(pool.available(), 0);
  pool.release(third);
  EXPECT_EQ(pool.available(), 1);
}

TEST(PromptLookup, ContinuesTheLatestOccurrence) {
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 8, 1, 2, 3};
  EXPECT_THAT(looked_up(tokens, 2), ElementsAre(6, 7));
  EXPECT_THAT(looked_up(tokens, 0), IsEmpty());
  const std::vector<TokenId> by_two = {9, 2, 3, 4, 8, 2, 3};
  EXPECT_THAT(looked_up(by_two, 7), ElementsAre(4, 8, 2, 3));
  EXPECT_THAT(looked_up(std::vector<TokenId>{1, 2, 3, 4}, 7), IsEmpty());
  EXPECT_THAT(looked_up(std::vector<TokenId>{5, 5, 5, 5}, 7), ElementsAre(5));
  EXPECT_THAT(looked_up(std::vector<TokenId>{}, 7), IsEmpty());
}

TEST(PromptLookup, PacesItselfByItsSuccess) {
  LookupPace pace;
  EXPECT_EQ(pace.allowed(), 3);
  pace.report(3, 3);
  EXPECT_EQ(pace.allowed(), 6);
  pace.report(6, 6);
  EXPECT_EQ(pace.allowed(), kLookupTokens);
  pace.report(7, 0);
  EXPECT_EQ(pace.allowed(), 0) << "a pause of one pass";
  pace.passed_without_guess();
  EXPECT_EQ(pace.allowed(), 2);
  pace.report(2, 0);
  pace.passed_without_guess();
  EXPECT_EQ(pace.allowed(), 0) << "of two";
}

}  // namespace
}  // namespace attune
