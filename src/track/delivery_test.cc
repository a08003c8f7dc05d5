// Delivery to a destination that fails in every way: in order, each record once, and nobody waits.
#include "track/delivery.h"

#include <gtest/gtest.h>

#include "track/test_folder.h"

namespace attune {
namespace {

// What arrived, and how the destination behaves.
struct Outside {
  std::mutex mutex;
  std::vector<std::int64_t> arrived;
  std::int64_t acknowledged = 0;
  int opened = 0, failures = 0;
  std::function<bool(int call)> fails = [](int) { return false; };
  bool hangs = false;
};

class Fake : public Destination {
 public:
  Fake(Outside& outside, DeliveryControl control) : outside_(outside), control_(std::move(control)) {}
  std::string name() const override { return "the outside"; }
  std::int64_t open() override {
    const std::lock_guard lock(outside_.mutex);
    ++outside_.opened;
    return outside_.acknowledged;
  }
  void deliver(std::span<const SpoolRecord> records) override {
    while (outside_.hangs && !control_.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::lock_guard lock(outside_.mutex);
    for (const SpoolRecord& record : records) {
      if (outside_.fails(calls_++)) {
        ++outside_.failures;
        throw NotNow("[outside] not now");
      }
      outside_.arrived.push_back(record.sequence);
      outside_.acknowledged = record.sequence;
    }
  }
  std::int64_t acknowledged() const override {
    const std::lock_guard lock(outside_.mutex);
    return outside_.acknowledged;
  }

 private:
  Outside& outside_;
  DeliveryControl control_;
  int calls_ = 0;
};

class DeliveryTest : public testing::Test {
 protected:
  std::unique_ptr<Delivery> start(SpoolWriter* writer) {
    const DeliveryOptions quick{0.01, 0.001, 0.01};
    return std::make_unique<Delivery>(
        journal(), folder_.path / "lock", writer, "the outside",
        [this](const DeliveryControl& control) { return std::make_unique<Fake>(outside_, control); }, quick);
  }
  fs::path journal() const { return folder_.path / "journal"; }
  void expect_all(std::int64_t count) {
    const std::lock_guard lock(outside_.mutex);
    ASSERT_EQ(outside_.arrived.size(), static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(outside_.arrived[static_cast<std::size_t>(i)], i + 1);
  }

  TestFolder folder_;
  Outside outside_;
};

constexpr double kLong = 60;  // seconds: a test that waits so long has failed

TEST_F(DeliveryTest, DeliversWhatIsAppendedWhileItRuns) {
  SpoolWriter writer(journal());
  const auto delivery = start(&writer);
  for (int i = 0; i < 3000; ++i) writer.append({{"i", i}});
  EXPECT_TRUE(delivery->drain({kLong, kLong}, {}));
  expect_all(3000);
  EXPECT_EQ(delivery->state().waiting(), 0);
  EXPECT_EQ(delivery->state().problem, "");
}

TEST_F(DeliveryTest, GoesOnAfterFailuresWithoutLossOrRepetition) {
  outside_.fails = [](int call) { return call % 7 == 3; };
  SpoolWriter writer(journal());
  for (int i = 0; i < 100; ++i) writer.append({{"i", i}});
  const auto delivery = start(&writer);
  EXPECT_TRUE(delivery->drain({kLong, kLong}, {}));
  expect_all(100);
  EXPECT_GT(outside_.failures, 0);
}

TEST_F(DeliveryTest, SaysWhyItDoesNotGoOnAndGivesUpWaiting) {
  outside_.fails = [](int) { return true; };
  SpoolWriter writer(journal());
  writer.append({{"i", 0}});
  const auto delivery = start(&writer);
  EXPECT_FALSE(delivery->drain({0.05, 0.05}, {}));
  EXPECT_EQ(delivery->state().problem, "[outside] not now");
  EXPECT_EQ(delivery->state().waiting(), 1);
}

TEST_F(DeliveryTest, StopsADestinationThatHangs) {
  outside_.hangs = true;
  SpoolWriter writer(journal());
  writer.append({{"i", 0}});
  auto delivery = start(&writer);
  EXPECT_FALSE(delivery->drain({0.05, 0.05}, {}));
  outside_.fails = [](int) { return true; };
  delivery.reset();  // would hang here
  EXPECT_TRUE(outside_.arrived.empty());
}

TEST_F(DeliveryTest, AnotherProcessGoesOnWhereThisOneStopped) {
  {
    SpoolWriter writer(journal());
    const auto delivery = start(&writer);
    for (int i = 0; i < 10; ++i) writer.append({{"i", i}});
    EXPECT_TRUE(delivery->drain({kLong, kLong}, {}));
    for (int i = 0; i < 10; ++i) writer.append({{"i", i}});
  }
  const auto delivery = start(nullptr);
  EXPECT_TRUE(delivery->drain({kLong, kLong}, {}));
  expect_all(20);
}

TEST_F(DeliveryTest, OneProcessDeliversAtATime) {
  SpoolWriter writer(journal());
  auto held = FileLock::try_lock(folder_.path / "lock");
  ASSERT_TRUE(held);
  writer.append({{"i", 0}});
  const auto delivery = start(&writer);
  EXPECT_FALSE(delivery->drain({0.05, 0.05}, {}));
  EXPECT_EQ(outside_.opened, 0);
  held.reset();
  EXPECT_TRUE(delivery->drain({kLong, kLong}, {}));
  expect_all(1);
}

}  // namespace
}  // namespace attune
