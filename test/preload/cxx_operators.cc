// Every form of operator new and delete goes through malloc and free: plain, array, nothrow, aligned,
// sized; failure is bad_alloc or a null pointer, after the new handler was asked.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);          \
            std::_Exit(1);                                                                         \
        }                                                                                          \
    } while (0)

namespace
{

constexpr std::size_t impossible = SIZE_MAX / 2 - 100;

// The compiler may leave out a pair of new and delete that it sees through.
void *hidden(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

std::size_t hidden(std::size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

void *used(void *pointer, std::size_t size, std::size_t align)
{
    pointer = hidden(pointer);
    EXPECT(pointer != nullptr);
    EXPECT(reinterpret_cast<std::uintptr_t>(pointer) % align == 0);
    EXPECT(malloc_usable_size(pointer) >= size);
    std::memset(pointer, 0x5a, size);
    return pointer;
}

void every_form(std::size_t size)
{
    const std::size_t plain = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    ::operator delete(used(::operator new(size), size, plain));
    ::operator delete[](used(::operator new[](size), size, plain));
    ::operator delete(used(::operator new(size), size, plain), size);
    ::operator delete[](used(::operator new[](size), size, plain), size);
    ::operator delete(used(::operator new(size, std::nothrow), size, plain), std::nothrow);
    ::operator delete[](used(::operator new[](size, std::nothrow), size, plain), std::nothrow);
    for (std::size_t bytes = 1; bytes <= 65536; bytes *= 4) {
        const auto align = static_cast<std::align_val_t>(bytes);
        ::operator delete(used(::operator new(size, align), size, bytes), align);
        ::operator delete[](used(::operator new[](size, align), size, bytes), align);
        ::operator delete(used(::operator new(size, align), size, bytes), size, align);
        ::operator delete[](used(::operator new[](size, align), size, bytes), size, align);
        ::operator delete(used(::operator new(size, align, std::nothrow), size, bytes), align,
                          std::nothrow);
    }
    std::free(used(::operator new(size), size, plain)); // they share one heap
}

template <class Call> bool throws_bad_alloc(Call call)
{
    try {
        hidden(call());
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void failures()
{
    const auto align = static_cast<std::align_val_t>(4096);
    const std::size_t size = hidden(impossible);
    EXPECT(throws_bad_alloc([=] { return ::operator new(size); }));
    EXPECT(throws_bad_alloc([=] { return ::operator new[](size); }));
    EXPECT(throws_bad_alloc([=] { return ::operator new(size, align); }));
    EXPECT(throws_bad_alloc([=] { return static_cast<void *>(new int[hidden(SIZE_MAX)]); }));
    EXPECT(hidden(::operator new(size, std::nothrow)) == nullptr);
    EXPECT(hidden(::operator new[](size, std::nothrow)) == nullptr);
    EXPECT(hidden(::operator new(size, align, std::nothrow)) == nullptr);
}

int handler_calls = 0;

void give_up_at_third()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void new_handler_is_asked()
{
    std::set_new_handler(give_up_at_third);
    EXPECT(throws_bad_alloc([] { return ::operator new(hidden(impossible)); }));
    EXPECT(handler_calls == 3);
}

struct destroyed_late {
    std::vector<std::string> *strings = new std::vector<std::string>(100, std::string(200, 'x'));
    ~destroyed_late()
    {
        strings->push_back(std::string(5000, 'y'));
        for (const auto &string : *strings)
            EXPECT(string.find_first_not_of("xy") == std::string::npos);
        delete strings;
    }
};

thread_local destroyed_late of_thread;
destroyed_late of_program;

void thread_locals()
{
    std::vector<std::thread> threads;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            threads.emplace_back([] { of_thread.strings->push_back("x"); });
        for (auto &thread : threads)
            thread.join();
        threads.clear();
    }
    of_thread.strings->push_back("x");
}

struct alignas(256) overaligned {
    char bytes[300];
};

void containers()
{
    std::vector<overaligned> objects(100);
    for (auto &object : objects)
        EXPECT(reinterpret_cast<std::uintptr_t>(&object) % 256 == 0);
    std::pmr::monotonic_buffer_resource resource;
    std::pmr::vector<std::pmr::string> strings(&resource);
    for (int i = 0; i < 1000; i++)
        strings.emplace_back(static_cast<std::size_t>(i), 'z');
    EXPECT(strings[999].size() == 999);
    auto array = std::make_unique<double[]>(100000);
    EXPECT(array[99999] == 0.0);
}

} // namespace

int main()
{
    for (std::size_t size = 1; size < 3000000; size = size * 3 + 1)
        every_form(size);
    failures();
    new_handler_is_asked();
    thread_locals();
    containers();
    std::puts("done");
    return 0;
}
