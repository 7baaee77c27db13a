// A translation unit as C++ projects have them: much of the standard library, instantiated often.
// Compiled, not run; -DDEPTH=N says how often.
#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct tag {
    std::array<char, N + 1> bytes;
    bool operator<(const tag &other) const { return bytes < other.bytes; }
};

template <int N>
using record =
    std::tuple<std::string, std::vector<tag<N>>, std::map<int, tag<N>>, std::shared_ptr<tag<N>>>;

template <int N> struct store {
    std::map<std::string, record<N>> by_name;
    std::unordered_map<std::string, std::deque<record<N>>> groups;
    std::set<tag<N>> tags;
    std::variant<int, std::string, tag<N>, std::list<tag<N>>> last;

    std::size_t add(const std::string &name, const record<N> &added)
    {
        by_name.emplace(name, added);
        groups[name].push_back(added);
        for (const auto &one : std::get<1>(added))
            tags.insert(one);
        last = std::string(name);
        return by_name.size() + groups.size();
    }

    std::vector<std::string> names(const std::function<bool(const record<N> &)> &wanted) const
    {
        std::vector<std::string> found;
        for (const auto &[name, one] : by_name) {
            if (wanted(one))
                found.push_back(name);
        }
        std::stable_sort(found.begin(), found.end(),
                         [](const auto &a, const auto &b) { return a.size() < b.size(); });
        return found;
    }
};

template <int N> std::size_t use_all(std::ostream &out)
{
    store<N> filled;
    std::mt19937 random(N);
    std::regex pattern("([a-z]+)([0-9]{" + std::to_string(N + 1) + "})");
    std::ostringstream text;
    for (int i = 0; i < N + 10; i++) {
        text << "key" << random() % 1000;
        filled.add(text.str(), record<N>{text.str(), {}, {}, std::make_shared<tag<N>>()});
    }
    for (const auto &name : filled.names([](const auto &one) { return std::get<3>(one) != nullptr; }))
        out << std::regex_replace(name, pattern, "$2$1");
    return filled.tags.size() + use_all<N - 1>(out);
}

template <> std::size_t use_all<0>(std::ostream &) { return 0; }

std::size_t instantiate() { return use_all<DEPTH>(std::cout); }
