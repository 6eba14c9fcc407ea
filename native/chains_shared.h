/* Records that the BPF program of `chains` hands to it. Both sides are compiled from this file. */
#ifndef RMAP_CHAINS_SHARED_H
#define RMAP_CHAINS_SHARED_H

/* Entries of a chain that are listed: a record must fit into the 32 KiB of a seq_file. */
#define CHAIN_LISTED_MAX 4000
/* A list that is longer than this is taken for torn. */
#define CHAIN_LENGTH_MAX (1u << 20)
/* Set in an entry whose anon_vma has no VMA of its own any more; addresses are aligned to 8. */
#define CHAIN_ENTRY_DEAD 1ull

/* One VMA; `listed` entries follow, one 64-bit word for each anon_vma_chain. */
struct chain_record {
  unsigned long long mm;
  unsigned long long anon_vma;
  unsigned int tgid;
  unsigned int length; /* of the chain */
  unsigned int listed;
  unsigned int unused;
};

#endif
