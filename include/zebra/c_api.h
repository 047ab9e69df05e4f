/* The C ABI of libzebra_sim. Every function is reentrant and lets no exception out. */
#ifndef ZEBRA_C_API_H_
#define ZEBRA_C_API_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ZEBRA_API __attribute__((visibility("default")))

/* Raised by one whenever a struct or a function below changes. */
#define ZEBRA_ABI_VERSION 2

/* Status codes: 0, or the zebra.errors class that Python raises. */
enum {
  ZEBRA_OK = 0,
  ZEBRA_ENCODING_ERROR = 1,
  ZEBRA_OPERAND_ERROR = 2,
  ZEBRA_TOKEN_ERROR = 3,
  ZEBRA_ADDRESS_ERROR = 4,
  ZEBRA_UNINITIALIZED_ERROR = 5,
  ZEBRA_ARTIFACT_ERROR = 6,
  ZEBRA_DRIVER_ERROR = 7,
};

/* Kernels: the inner loops to use. All give the same bits. */
enum {
  ZEBRA_KERNEL_AUTO = 0,
  ZEBRA_KERNEL_PORTABLE = 1,
  ZEBRA_KERNEL_AVX2 = 2,
  ZEBRA_KERNEL_AVX512_VNNI = 3,
};

/* Sizes of the accelerator, in entries (zebra.hw.HwConfig). */
typedef struct {
  uint32_t rows, block, act, wgt, acc, par, tab, mult_width;
} ZebraHwSizes;

/* Bytes [start, start + size) of DRAM. */
typedef struct {
  uint64_t start, size;
} ZebraSpan;

/* A program (zebra.isa.Program) and the caller's DRAM of dram_bytes bytes, changed in place. */
typedef struct {
  ZebraHwSizes sizes;
  uint32_t threads; /* 0: all cores */
  uint32_t kernel;  /* ZEBRA_KERNEL_... */
  const uint8_t* code;
  uint64_t code_bytes;
  uint8_t* dram;
  uint64_t dram_bytes;
  uint64_t constant_bytes;
  const ZebraSpan* inputs;
  uint64_t input_count;
  const ZebraSpan* outputs;
  uint64_t output_count;
} ZebraJob;

/* What the engines did; arrays are in the order LOAD, GEMM, VEC, STORE. */
typedef struct {
  uint64_t instructions[4];
  uint64_t iterations[4];
  uint64_t dram_read_bytes;
  uint64_t dram_written_bytes;
  uint64_t macs;
} ZebraCounters;

/* ZEBRA_ABI_VERSION of the library. */
ZEBRA_API uint32_t zebra_sim_abi_version(void);

/* 1 if this CPU can run the kernel, else 0. */
ZEBRA_API int zebra_sim_kernel_available(uint32_t kernel);

/* Run a program. Returns a status code; if it is not ZEBRA_OK, `error` (if not null) holds one
 * NUL-terminated sentence, cut to error_bytes. `counters` may be null. */
ZEBRA_API int zebra_sim_run(const ZebraJob* job, ZebraCounters* counters, char* error,
                            size_t error_bytes);

/* Prove a program legal without running it (zebra/verifier.h). Of the job only the sizes and the
 * program are read: threads, kernel and dram do not matter. Returns a status code and an error as
 * zebra_sim_run does. */
ZEBRA_API int zebra_verify(const ZebraJob* job, char* error, size_t error_bytes);

/* The cycle model (zebra/cycle.h, docs/cycle_model.md): the time of a program. */
typedef struct {
  ZebraHwSizes sizes;
  uint32_t dram_bytes_per_cycle, dram_latency, dram_burst_bytes;
  const uint8_t* code;
  uint64_t code_bytes;
} ZebraCycleJob;

/* zebra::Spent: what an engine does with a cycle. */
enum { ZEBRA_SPENT_KINDS = 15 };

/* zebra::CycleRecord: one instruction. */
typedef struct {
  uint64_t start, end, useful_bytes, moved_bytes, macs, engine;
  uint64_t cycles[ZEBRA_SPENT_KINDS];
} ZebraCycleRecord;

/* zebra::CycleTotals: a whole run; engines in the order LOAD, GEMM, VEC, STORE. */
typedef struct {
  uint64_t cycles, instruction_bytes;
  uint64_t spent[4][ZEBRA_SPENT_KINDS];
} ZebraCycleTotals;

/* Time a program. `records` takes code_bytes / 64 records, or is null. Returns a status code and
 * an error as zebra_sim_run does. */
ZEBRA_API int zebra_cycle_run(const ZebraCycleJob* job, ZebraCycleTotals* totals,
                              ZebraCycleRecord* records, char* error, size_t error_bytes);

/* An address field of a shape: its first bit in the word and its largest value. */
typedef struct {
  uint32_t bit;
  uint32_t unused;
  uint64_t limit;
} ZebraField;

/* What a shape touches: [start, stop) of a memory behind the value of an address field, or behind
 * 0 if `field` is -1. */
typedef struct {
  int64_t start, stop;
  uint16_t memory;
  int16_t field;
  uint32_t write;
} ZebraTouch;

/* A program as few shapes (zebra.codegen.shapes) at many addresses. Shape s has the fields
 * [first_field[s], first_field[s + 1]) and touches likewise; `words` holds its instruction, 64
 * bytes, with all addresses 0. `addresses` holds the fields' values, instruction by instruction. */
typedef struct {
  const uint8_t* words;
  const uint8_t* engines;
  const uint32_t* first_field;
  const ZebraField* fields;
  const uint32_t* first_touch;
  const ZebraTouch* touches;
  const uint32_t* shapes;
  const int64_t* addresses;
  uint64_t count; /* instructions */
} ZebraListing;

/* Write the program, count * 64 bytes, with the tokens that its hazards ask for. Nothing in the
 * listing is checked but that addresses fit their fields. Returns a status code and an error as
 * zebra_sim_run does. */
ZEBRA_API int zebra_assemble(const ZebraListing* listing, uint8_t* code, char* error,
                             size_t error_bytes);

#ifdef __cplusplus
}
#endif

#endif /* ZEBRA_C_API_H_ */
