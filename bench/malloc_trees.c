/* Binary trees: built node by node, walked, freed node by node, beside one that lives on. Few
 * instructions between the calls, and a walk that is as fast as neighbours lie close. */
#include "stamp.h"

#define DEPTH_MIN 4u

struct trees {
    struct worker base;
    unsigned depth;
};

static struct trees trees;

struct node {
    struct node *left;
    struct node *right;
    uint64_t value;
};

static struct node *tree_build(unsigned depth, uint64_t value)
{
    struct node *node = get_memory(sizeof(*node));
    *node = (struct node){NULL, NULL, value};
    if (depth > 0) {
        node->left = tree_build(depth - 1, 2 * value);
        node->right = tree_build(depth - 1, 2 * value + 1);
    }
    return node;
}

static uint64_t tree_sum(const struct node *node)
{
    return node == NULL ? 0 : node->value + tree_sum(node->left) + tree_sum(node->right);
}

static void tree_free(struct node *node)
{
    if (node == NULL)
        return;
    tree_free(node->left);
    tree_free(node->right);
    free(node);
}

static uint64_t grow_trees(const struct worker *worker, unsigned index)
{
    (void)worker;
    struct node *long_lived = tree_build(trees.depth, index + 1);
    uint64_t sum = 0;
    for (unsigned depth = DEPTH_MIN; depth <= trees.depth; depth += 2) {
        for (uint64_t i = (uint64_t)1 << (trees.depth - depth + DEPTH_MIN); i > 0; i--) {
            struct node *tree = tree_build(depth, i);
            sum += tree_sum(tree);
            tree_free(tree);
        }
    }
    sum += tree_sum(long_lived);
    tree_free(long_lived);
    return sum;
}

int main(int argc, char **argv)
{
    struct worker *worker = &trees.base;
    worker_init(worker, argc, argv);
    trees.depth = (unsigned)worker_number(worker, "depth", 16);
    worker_check_arguments(worker);
    if (trees.depth < DEPTH_MIN || trees.depth > 24)
        worker_fail("depth must be %u to 24", DEPTH_MIN);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, grow_trees);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
