/* Arithmetic on long numbers, every result a new object: the convergents of the continued fraction
 * of a square root, h(n) = a(n) h(n-1) + h(n-2), exact. Temporaries of a few dozen to a few hundred
 * bytes that live for one operation, between real computation. */
#include "random.h"
#include "stamp.h"

#define TERMS_MAX 400u

struct number {
    uint32_t count;
    uint32_t limbs[]; /* least significant first */
};

struct bignum {
    struct worker base;
    uint64_t steps;
};

static struct bignum bignum;

static struct number *number_create(uint32_t count)
{
    struct number *number = get_memory(sizeof(*number) + count * sizeof(uint32_t));
    number->count = count;
    return number;
}

static struct number *number_of(uint32_t value)
{
    struct number *number = number_create(1);
    number->limbs[0] = value;
    return number;
}

static struct number *number_times(const struct number *number, uint32_t factor)
{
    struct number *product = number_create(number->count + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < number->count; i++) {
        carry += (uint64_t)number->limbs[i] * factor;
        product->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    product->limbs[number->count] = (uint32_t)carry;
    product->count -= carry == 0;
    return product;
}

static struct number *number_plus(const struct number *a, const struct number *b)
{
    const struct number *longer = a->count >= b->count ? a : b;
    const struct number *shorter = longer == a ? b : a;
    struct number *sum = number_create(longer->count + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < longer->count; i++) {
        carry += longer->limbs[i];
        carry += i < shorter->count ? shorter->limbs[i] : 0;
        sum->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum->limbs[longer->count] = (uint32_t)carry;
    sum->count -= carry == 0;
    return sum;
}

static uint64_t number_remainder(const struct number *number, uint32_t divisor)
{
    uint64_t rest = 0;
    for (uint32_t i = number->count; i > 0; i--)
        rest = (rest << 32 | number->limbs[i - 1]) % divisor;
    return rest;
}

/* One step of a convergent's numerator or denominator: *now becomes term * *now + *before. */
static void convergent_step(struct number **now, struct number **before, uint32_t term)
{
    struct number *product = number_times(*now, term);
    struct number *next = number_plus(product, *before);
    free(product);
    free(*before);
    *before = *now;
    *now = next;
}

static uint64_t integer_root(uint64_t square)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 24; bit > 0; bit >>= 1) {
        if ((root | bit) * (root | bit) <= square)
            root |= bit;
    }
    return root;
}

/* The first terms of the square root of `square`; 0 if that is a whole number. */
static uint64_t expand(uint64_t square)
{
    const uint64_t root = integer_root(square);
    if (root * root == square)
        return 0;
    struct number *numerator = number_of((uint32_t)root);
    struct number *numerator_before = number_of(1);
    struct number *denominator = number_of(1);
    struct number *denominator_before = number_of(0);
    uint64_t m = 0, d = 1, a = root, check = 0;
    for (unsigned i = 0; i < TERMS_MAX; i++) {
        m = d * a - m;
        d = (square - m * m) / d;
        a = (root + m) / d;
        convergent_step(&numerator, &numerator_before, (uint32_t)a);
        convergent_step(&denominator, &denominator_before, (uint32_t)a);
        check += number_remainder(numerator, 1000003) * number_remainder(denominator, 999983);
    }
    free(numerator);
    free(numerator_before);
    free(denominator);
    free(denominator_before);
    return check;
}

static uint64_t compute(const struct worker *worker, unsigned index)
{
    struct random random = random_make(worker->seed, index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bignum.steps; i += TERMS_MAX)
        sum += expand((random_next(&random) >> 20) + 2);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &bignum.base;
    worker_init(worker, argc, argv);
    bignum.steps = worker_number(worker, "steps", 1000000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, compute);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
