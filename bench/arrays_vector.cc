/* Arrays as C++ programs have them: std::vector, and std::deque, which grows at both ends and lies
 * in pieces. `container` is vector or deque.
 *
 * std::vector has no push_front and std::deque nothing that a copy of a vector would not do faster:
 * the bench does not ask them. */
#include "arrays.h"

#include <deque>
#include <vector>

namespace
{

template <size_t bytes> struct block {
    uint64_t words[bytes / WORD_BYTES];
};

template <size_t bytes> struct unit_of {
    using type = block<bytes>;
};
template <> struct unit_of<1> {
    using type = unsigned char;
};
template <> struct unit_of<8> {
    using type = uint64_t;
};

using words = std::vector<uint64_t>;

/* Each container says how its units add up as words; the number of a unit is its first word. */
uint64_t add_up(const unsigned char &byte, size_t index)
{
    return uint64_t{byte} << index % WORD_BYTES * 8;
}

uint64_t add_up(const uint64_t &word, size_t)
{
    return word;
}

template <size_t bytes> uint64_t add_up(const block<bytes> &unit, size_t)
{
    return words_sum(reinterpret_cast<const unsigned char *>(unit.words), bytes);
}

template <class unit> uint64_t sum_of(const std::vector<unit> &units)
{
    return words_sum(reinterpret_cast<const unsigned char *>(units.data()),
                     units.size() * sizeof(unit));
}

template <class unit> uint64_t sum_of(const std::deque<unit> &units)
{
    uint64_t sum = 0;
    size_t index = 0;
    for (const unit &one : units)
        sum += add_up(one, index++);
    return sum;
}

/* A container behind an array's `own`, and what it can do. */
struct rows {
    rows() = default;
    rows(const rows &) = delete;
    rows &operator=(const rows &) = delete;
    virtual ~rows() = default;
    virtual uint64_t sum() const = 0;
};

template <class type> struct rows_of final : rows {
    type units;
    uint64_t sum() const override
    {
        return sum_of(units);
    }
};

bool is_deque;

template <class type> type &units_of(const struct array *array)
{
    return static_cast<rows_of<type> *>(static_cast<rows *>(array->own))->units;
}

rows *make_rows(size_t unit)
{
    switch (unit) {
    case 1:
        return is_deque ? static_cast<rows *>(new rows_of<std::deque<unsigned char>>)
                        : new rows_of<std::vector<unsigned char>>;
    case 8:
        return is_deque ? static_cast<rows *>(new rows_of<std::deque<uint64_t>>)
                        : new rows_of<words>;
    case 64:
        return is_deque ? static_cast<rows *>(new rows_of<std::deque<block<64>>>)
                        : new rows_of<std::vector<block<64>>>;
    case 4096:
        return is_deque ? static_cast<rows *>(new rows_of<std::deque<block<4096>>>)
                        : new rows_of<std::vector<block<4096>>>;
    default:
        worker_fail("unit must be 1, 8, 64 or 4096, not %zu", unit);
    }
}

void rows_open(struct worker *worker)
{
    const char *container = worker_word(worker, "container", "vector");
    is_deque = strcmp(container, "deque") == 0;
    if (!is_deque && strcmp(container, "vector") != 0)
        worker_fail("container must be vector or deque, not '%s'", container);
}

void rows_create(struct array *array, size_t unit)
{
    *array = {};
    array->own = make_rows(unit);
}

void rows_release(struct array *array)
{
    delete static_cast<rows *>(array->own);
    array->own = nullptr;
}

/* ---- pushing ---- */

template <size_t bytes> typename unit_of<bytes>::type first_unit()
{
    typename unit_of<bytes>::type unit;
    uint64_t content[(bytes + WORD_BYTES - 1) / WORD_BYTES] = {};
    unit_fill(content, bytes);
    memcpy(&unit, content, sizeof(unit));
    return unit;
}

void set_number(unsigned char &unit, uint64_t number)
{
    unit = static_cast<unsigned char>(number);
}

void set_number(uint64_t &unit, uint64_t number)
{
    unit = number;
}

template <size_t bytes> void set_number(block<bytes> &unit, uint64_t number)
{
    unit.words[0] = number;
}

struct to_back {
    template <class type, class unit> static void push(type &units, const unit &one)
    {
        units.push_back(one);
    }
};

struct to_front {
    template <class type, class unit> static void push(type &units, const unit &one)
    {
        units.push_front(one);
    }
};

/* One container is a local variable of the loop, as in a function that builds one. */
template <template <class...> class container, size_t bytes, class end>
void push_units(struct array *arrays, unsigned count, size_t units)
{
    using type = container<typename unit_of<bytes>::type>;
    typename unit_of<bytes>::type unit = first_unit<bytes>();
    if (count == 1) {
        type one;
        for (uint64_t i = 0; i < units; i++) {
            set_number(unit, i);
            end::push(one, unit);
        }
        units_of<type>(&arrays[0]) = std::move(one);
        return;
    }
    type *all[ARRAYS_MAX];
    for (unsigned j = 0; j < count; j++)
        all[j] = &units_of<type>(&arrays[j]);
    for (uint64_t i = 0; i < units; i++) {
        set_number(unit, i);
        for (unsigned j = 0; j < count; j++)
            end::push(*all[j], unit);
    }
}

template <template <class...> class container, class end> push_function *pushes_find(size_t unit)
{
    static const struct push_units pushes = {
        push_units<container, 1, end>, push_units<container, 8, end>,
        push_units<container, 64, end>, push_units<container, 4096, end>};
    return push_units_find(&pushes, unit);
}

void rows_push(struct array *arrays, unsigned count, size_t unit, size_t units)
{
    push_function *push =
        is_deque ? pushes_find<std::deque, to_back>(unit) : pushes_find<std::vector, to_back>(unit);
    push(arrays, count, units);
}

void rows_push_front(struct array *arrays, unsigned count, size_t unit, size_t units)
{
    if (!is_deque)
        worker_fail("a vector has no push_front");
    pushes_find<std::deque, to_front>(unit)(arrays, count, units);
}

/* ---- versions, of vectors of words ---- */

void *rows_fill(struct array *array, size_t bytes)
{
    if (is_deque)
        worker_fail("a deque does not lie in one piece");
    words &units = units_of<words>(array);
    units.resize(bytes / WORD_BYTES);
    return units.data();
}

void rows_slice(const struct array *held, size_t first, size_t bytes, const void *block,
                struct array *out)
{
    const words &old = units_of<words>(held);
    const uint64_t *from = old.data() + first / WORD_BYTES;
    const uint64_t *added = static_cast<const uint64_t *>(block);
    rows_create(out, WORD_BYTES);
    words &version = units_of<words>(out);
    version.reserve((bytes + BLOCK_BYTES) / WORD_BYTES);
    version.assign(from, from + bytes / WORD_BYTES);
    version.insert(version.end(), added, added + BLOCK_BYTES / WORD_BYTES);
}

void rows_append(const struct array *held, const void *block, struct array *out)
{
    rows_slice(held, 0, units_of<words>(held).size() * WORD_BYTES, block, out);
}

void rows_write(const struct array *held, size_t at, uint64_t word, struct array *out)
{
    rows_create(out, WORD_BYTES);
    words &version = units_of<words>(out);
    version = units_of<words>(held);
    version[at / WORD_BYTES] = word;
}

void rows_concatenate(struct array *first, struct array *second, bool held, struct array *out)
{
    const words &added = units_of<words>(second);
    if (!held) {
        *out = *first;
        words &units = units_of<words>(out);
        units.insert(units.end(), added.begin(), added.end());
        rows_release(second);
        return;
    }
    const words &old = units_of<words>(first);
    rows_create(out, WORD_BYTES);
    words &units = units_of<words>(out);
    units.reserve(old.size() + added.size());
    units.assign(old.begin(), old.end());
    units.insert(units.end(), added.begin(), added.end());
}

uint64_t rows_sum(const struct array *array)
{
    return static_cast<const rows *>(array->own)->sum();
}

} // namespace

int main(int argc, char **argv)
{
    static const struct arrays_way way = {
        rows_open,  rows_create, rows_push,        rows_push_front, rows_fill,    rows_append,
        rows_write, rows_slice,  rows_concatenate, rows_sum,        rows_release,
    };
    return arrays_main(argc, argv, &way);
}
