// A C++ program with threads: containers, strings, shared pointers and exceptions that travel between
// them. Prints the same for the same argument, whatever the schedule.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{

struct message {
    std::string text;
    std::vector<unsigned> numbers;
    std::shared_ptr<message> parent;
};

class queue
{
  public:
    void put(std::unique_ptr<message> one)
    {
        {
            const std::lock_guard<std::mutex> guard(mutex);
            messages.push_back(std::move(one));
        }
        filled.notify_one();
    }

    std::unique_ptr<message> get()
    {
        std::unique_lock<std::mutex> guard(mutex);
        filled.wait(guard, [this] { return !messages.empty(); });
        auto one = std::move(messages.front());
        messages.pop_front();
        return one;
    }

  private:
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<std::unique_ptr<message>> messages;
};

thread_local std::map<std::string, std::list<std::string>> remembered;

std::atomic<unsigned long long> sum{0};

unsigned long long weigh(const message &one)
{
    unsigned long long weight = one.text.size();
    for (const unsigned number : one.numbers)
        weight += number;
    return one.parent ? weight + weigh(*one.parent) : weight;
}

void produce(queue &queue, unsigned rounds, unsigned index)
{
    std::shared_ptr<message> parent;
    unsigned state = index + 1;
    for (unsigned i = 0; i < rounds * 1000; i++) {
        state = state * 1103515245u + 12345u;
        auto one = std::make_unique<message>();
        one->text.assign(state % 300, 'x');
        one->numbers.assign(state / 300 % 50, i % 10);
        if (i % 64 != 0)
            one->parent = parent;
        if (i % 16 == 0)
            parent = std::make_shared<message>(*one);
        queue.put(std::move(one));
    }
    queue.put(nullptr);
}

void consume(queue &queue)
{
    for (;;) {
        const auto one = queue.get();
        if (!one)
            return;
        sum += weigh(*one);
        remembered[one->text.substr(0, 20)].push_back(one->text);
        try {
            if (one->numbers.size() == 13)
                throw std::runtime_error(one->text);
        } catch (const std::runtime_error &error) {
            sum += std::string(error.what()).size();
        }
    }
}

unsigned long long count_words(unsigned rounds)
{
    std::unordered_map<std::string, unsigned> words;
    for (unsigned i = 0; i < rounds * 2000; i++)
        words["word" + std::to_string(i * 7919u % 4001u)]++;
    std::vector<std::pair<std::string, unsigned>> sorted(words.begin(), words.end());
    std::sort(sorted.begin(), sorted.end());
    return sorted.size() * 1000ull + sorted.front().second;
}

} // namespace

int main(int argc, char **argv)
{
    const unsigned rounds = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 10;
    queue queues[3];
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 3; i++) {
        threads.emplace_back([&queues, rounds, i] { produce(queues[i], rounds, i); });
        threads.emplace_back([&queues, i] { consume(queues[i]); });
    }
    std::vector<std::future<unsigned long long>> counts;
    for (unsigned i = 0; i < 8; i++)
        counts.push_back(std::async(std::launch::async, count_words, rounds));
    unsigned long long words = 0;
    for (auto &count : counts)
        words += count.get();
    for (auto &thread : threads)
        thread.join();
    std::printf("%llu %llu\n", sum.load(), words);
    return 0;
}
