/* anon_vma, anon_vma_chain and the interval tree that joins them. */
#include <stdlib.h>
#include <string.h>

#include "observation.h"

uint64_t *chain_anon_vmas;
struct anon_vma_seen *anon_vmas;
size_t anon_vma_count;
uint64_t *walk_vmas;

static size_t chain_room, chain_count, anon_vma_room, walk_room, walk_count;
static struct table64 anon_vma_rows;
static size_t chain_anon_vma, chain_vma, chain_same_vma, chain_rb, chain_bytes;
static size_t rb_left, rb_right, tree_root;
static size_t av_root, av_parent, av_refs, av_children, av_active, av_tree, av_bytes;

void open_anon_vmas(void) {
  chain_anon_vma = need_field("anon_vma_chain", "anon_vma");
  chain_vma = need_field("anon_vma_chain", "vma");
  chain_same_vma = need_field("anon_vma_chain", "same_vma");
  chain_rb = need_field("anon_vma_chain", "rb");
  chain_bytes = type_size("anon_vma_chain");
  rb_left = need_field("rb_node", "rb_left");
  rb_right = need_field("rb_node", "rb_right");
  tree_root = need_field("rb_root_cached", "rb_root") + need_field("rb_root", "rb_node");
  av_root = need_field("anon_vma", "root");
  av_parent = need_field("anon_vma", "parent");
  av_refs = need_field("anon_vma", "refcount");
  av_children = need_field("anon_vma", "num_children");
  av_active = need_field("anon_vma", "num_active_vmas");
  av_tree = need_field("anon_vma", "rb_root");
  av_bytes = type_size("anon_vma");
}

static void note_anon_vma(uint64_t address) {
  if (!address) return;
  uint32_t fresh = anon_vma_count;
  if (table64_put(&anon_vma_rows, address, fresh) != fresh) return;
  anon_vmas = grow(anon_vmas, &anon_vma_room, fresh + 1, sizeof *anon_vmas);
  anon_vmas[fresh] = (struct anon_vma_seen){.address = address};
  anon_vma_count++;
}

static void gather_chain(struct vma_seen *vma) {
  unsigned char chain[256];
  vma->chain_start = chain_count;
  uint64_t entry = vma->record.chain_first;
  note_anon_vma(vma->record.anon_vma);
  while (entry && entry != vma->record.chain_head) {
    uint64_t address = entry - chain_same_vma;
    read_each(&address, 1, chain_bytes, chain);
    chain_anon_vmas = grow(chain_anon_vmas, &chain_room, chain_count + 1, sizeof(uint64_t));
    chain_anon_vmas[chain_count++] = word_at(chain, chain_anon_vma);
    note_anon_vma(word_at(chain, chain_anon_vma));
    entry = word_at(chain, chain_same_vma);
  }
  vma->chain_count = chain_count - vma->chain_start;
}

/* Roots and parents are noted while the list grows, so the loop reaches the closure. */
static void gather_fields(void) {
  unsigned char object[512];
  for (size_t i = 0; i < anon_vma_count; i++) {
    uint64_t address = anon_vmas[i].address;
    read_each(&address, 1, av_bytes, object);
    struct anon_vma_seen *seen = &anon_vmas[i];
    seen->root = word_at(object, av_root);
    seen->parent = word_at(object, av_parent);
    seen->tree = word_at(object, av_tree + tree_root);
    seen->children = word_at(object, av_children);
    seen->active = word_at(object, av_active);
    memcpy(&seen->refs, object + av_refs, sizeof seen->refs);
    note_anon_vma(word_at(object, av_root));
    note_anon_vma(word_at(object, av_parent));
  }
}

struct tree_node {
  uint64_t left, right, vma;
};

static struct tree_node *nodes;
static size_t node_room, node_count;
static struct table64 node_rows;

static void note_node(uint64_t address) {
  uint32_t fresh = node_count;
  if (!address || table64_put(&node_rows, address, fresh) != fresh) return;
  nodes = grow(nodes, &node_room, fresh + 1, sizeof *nodes);
  nodes[fresh] = (struct tree_node){.vma = address};
  node_count++;
}

/* Reads all trees together, one level a time. */
static void gather_nodes(void) {
  static unsigned char *objects;
  static uint64_t *addresses;
  static size_t object_room, address_room;
  table64_clear(&node_rows);
  node_count = 0;
  for (size_t i = 0; i < anon_vma_count; i++) note_node(anon_vmas[i].tree);
  for (size_t done = 0; done < node_count;) {
    size_t now = node_count - done;
    objects = grow(objects, &object_room, now, chain_bytes);
    addresses = grow(addresses, &address_room, now, sizeof *addresses);
    for (size_t i = 0; i < now; i++) addresses[i] = nodes[done + i].vma - chain_rb;
    read_each(addresses, now, chain_bytes, objects);
    for (size_t i = 0; i < now; i++) {
      const unsigned char *object = objects + i * chain_bytes;
      struct tree_node node = {word_at(object, chain_rb + rb_left),
                               word_at(object, chain_rb + rb_right), word_at(object, chain_vma)};
      nodes[done + i] = node;
      note_node(node.left);
      note_node(node.right);
    }
    done += now;
  }
}

/* A red-black tree of 2^32 nodes is at most 64 deep; a torn one must not end in recursion. */
static void walk_in_order(uint64_t address, int depth) {
  uint32_t row = address ? table64_get(&node_rows, address) : UINT32_MAX;
  if (row == UINT32_MAX || depth > 64) return;
  walk_in_order(nodes[row].left, depth + 1);
  walk_vmas = grow(walk_vmas, &walk_room, walk_count + 1, sizeof *walk_vmas);
  walk_vmas[walk_count++] = nodes[row].vma;
  walk_in_order(nodes[row].right, depth + 1);
}

void gather_anon_vmas(void) {
  table64_clear(&anon_vma_rows);
  anon_vma_count = chain_count = walk_count = 0;
  for (size_t i = 0; i < vma_count; i++) gather_chain(&vmas[i]);
  gather_fields();
  gather_nodes();
  for (size_t i = 0; i < anon_vma_count; i++) {
    anon_vmas[i].walk_start = walk_count;
    walk_in_order(anon_vmas[i].tree, 0);
    anon_vmas[i].walk_count = walk_count - anon_vmas[i].walk_start;
  }
}
