/*
 * The fields of kernel types that our BPF programs read. Their offsets are taken from the running
 * kernel (CO-RE), so no vmlinux.h is needed.
 */
#ifndef RMAP_KERNEL_TYPES_BPF_H
#define RMAP_KERNEL_TYPES_BPF_H

typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef unsigned short __u16;
typedef unsigned char __u8;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define CORE __attribute__((preserve_access_index))

struct list_head {
  struct list_head *next;
} CORE;
struct address_space;
struct file {
  struct address_space *f_mapping;
} CORE;
struct mm_struct {
  void *pgd;
  unsigned int mm_id;
} CORE;
struct anon_vma {
  unsigned long num_active_vmas;
} CORE;
struct anon_vma_chain {
  struct anon_vma *anon_vma;
  struct list_head same_vma;
} CORE;
struct vm_area_struct {
  unsigned long vm_start;
  unsigned long vm_end;
  struct mm_struct *vm_mm;
  struct list_head anon_vma_chain;
  struct anon_vma *anon_vma;
  unsigned long vm_pgoff;
  struct file *vm_file;
} CORE;
struct seq_file;
struct bpf_iter_meta {
  struct seq_file *seq;
} CORE;
struct task_struct {
  int tgid;
} CORE;
struct bpf_iter__task_vma {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  struct vm_area_struct *vma;
} CORE;

#endif
