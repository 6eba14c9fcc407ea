/*
 * Reads the kernel's reverse-mapping structures. Nothing here writes to anything but its own maps.
 */
#include "kernel_types.bpf.h"
#include "observer_shared.h"

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_F_MMAPABLE = 1u << 10 };

SEC("iter/task_vma")
int emit_vma(struct bpf_iter__task_vma *context) {
  struct vm_area_struct *vma = context->vma;
  if (!vma) return 0;
  struct vma_record record = {};
  struct mm_struct *mm = BPF_CORE_READ(vma, vm_mm);
  record.vma = (unsigned long)vma;
  record.mm = (unsigned long)mm;
  record.pgd = (unsigned long)BPF_CORE_READ(mm, pgd);
  if (bpf_core_field_exists(mm->mm_id)) record.mm_id = BPF_CORE_READ(mm, mm_id);
  record.start = BPF_CORE_READ(vma, vm_start);
  record.end = BPF_CORE_READ(vma, vm_end);
  record.pgoff = BPF_CORE_READ(vma, vm_pgoff);
  record.anon_vma = (unsigned long)BPF_CORE_READ(vma, anon_vma);
  record.chain_head = (unsigned long)__builtin_preserve_access_index(&vma->anon_vma_chain);
  record.chain_first = (unsigned long)BPF_CORE_READ(vma, anon_vma_chain.next);
  struct file *file = BPF_CORE_READ(vma, vm_file);
  if (file) record.mapping = (unsigned long)BPF_CORE_READ(file, f_mapping);
  bpf_seq_write(context->meta->seq, &record, sizeof record);
  return 0;
}

struct peek_requests {
  struct peek_request request[PEEK_REQUESTS];
};
struct peek_bytes {
  unsigned char byte[PEEK_BYTES + PEEK_LENGTH_MAX];
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, unsigned int);
  __type(value, struct peek_requests);
} peek_requests SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, unsigned int);
  __type(value, struct peek_bytes);
} peek_bytes SEC(".maps");

struct peek_loop {
  struct peek_requests *requests;
  struct peek_bytes *bytes;
};

static long peek_one(unsigned int index, struct peek_loop *loop) {
  struct peek_request *request = &loop->requests->request[index & (PEEK_REQUESTS - 1)];
  unsigned int offset = request->offset & (PEEK_BYTES - 1);
  unsigned int length = request->length;
  if (length > PEEK_LENGTH_MAX) return 1;
  request->failed =
      bpf_probe_read_kernel(&loop->bytes->byte[offset], length, (void *)request->address) != 0;
  return 0;
}

struct peek_context {
  unsigned int count;
};

SEC("syscall")
int peek(struct peek_context *context) {
  unsigned int zero = 0;
  struct peek_loop loop;
  loop.requests = bpf_map_lookup_elem(&peek_requests, &zero);
  loop.bytes = bpf_map_lookup_elem(&peek_bytes, &zero);
  if (!loop.requests || !loop.bytes) return 1;
  unsigned int count = context->count;
  if (count > PEEK_REQUESTS) return 1;
  bpf_loop(count, peek_one, &loop, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
