/*
 * Lists the anon_vma_chain of every VMA. The iterator holds the mmap_lock of the process meanwhile,
 * so a chain can only grow, at its head, and no anon_vma of it goes. Nothing here writes anything.
 */
#include "kernel_types.bpf.h"
#include "chains_shared.h"

struct chain_walk {
  struct seq_file *seq;
  struct list_head *head;
  struct list_head *entry;
};

static struct anon_vma_chain *chain_of(struct list_head *entry) {
  return (void *)entry - bpf_core_field_offset(struct anon_vma_chain, same_vma);
}

/* Ends the loop at the last entry: the verifier could not follow a counter of our own. */
static long count_one(unsigned int index, struct chain_walk *walk) {
  struct list_head *entry = walk->entry;
  walk->entry = BPF_CORE_READ(entry, next);
  return !walk->entry || walk->entry == walk->head;
}

static long emit_one(unsigned int index, struct chain_walk *walk) {
  struct list_head *entry = walk->entry;
  struct anon_vma_chain *chain = chain_of(entry);
  struct anon_vma *anon_vma = BPF_CORE_READ(chain, anon_vma);
  unsigned long long word = (unsigned long)anon_vma;
  if (!BPF_CORE_READ(anon_vma, num_active_vmas)) word |= CHAIN_ENTRY_DEAD;
  bpf_seq_write(walk->seq, &word, sizeof word);
  walk->entry = BPF_CORE_READ(entry, next);
  return 0;
}

SEC("iter/task_vma")
int emit_chain(struct bpf_iter__task_vma *context) {
  struct vm_area_struct *vma = context->vma;
  struct task_struct *task = context->task;
  if (!vma || !task) return 0;
  struct list_head *first = BPF_CORE_READ(vma, anon_vma_chain.next);
  struct chain_walk walk = {
      .seq = context->meta->seq,
      .head = __builtin_preserve_access_index(&vma->anon_vma_chain),
      .entry = first,
  };
  struct chain_record record = {};
  if (first != walk.head) record.length = bpf_loop(CHAIN_LENGTH_MAX, count_one, &walk, 0);
  record.mm = (unsigned long)BPF_CORE_READ(vma, vm_mm);
  record.anon_vma = (unsigned long)BPF_CORE_READ(vma, anon_vma);
  record.tgid = task->tgid;
  record.listed = record.length < CHAIN_LISTED_MAX ? record.length : CHAIN_LISTED_MAX;
  bpf_seq_write(walk.seq, &record, sizeof record);
  walk.entry = first;
  bpf_loop(record.listed, emit_one, &walk, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
