#include "zebra/artifact.h"

#include <algorithm>

#include "container.h"
#include "reader.h"

namespace zebra {
namespace {

constexpr uint64_t kMaxDramBytes = uint64_t{1} << 32;
constexpr uint32_t kMaxRank = 8;
constexpr size_t kInstructionBytes = 64;
constexpr const char* kAgain = "; build the artifact again";

[[noreturn]] void Fail(const std::string& what) { throw ArtifactError(what + kAgain); }

bool PowerOfTwo(uint32_t value, uint32_t low, uint32_t high) {
  return value >= low && value <= high && (value & (value - 1)) == 0;
}

// The ranges of zebra/hw/config.py; Python checks that CONF, HASH and HWSZ agree.
HwSizes ReadSizes(std::string_view data) {
  Reader reader(data, "the artifact's section HWSZ");
  HwSizes sizes;
  for (uint32_t* field : {&sizes.rows, &sizes.block, &sizes.act, &sizes.wgt, &sizes.acc, &sizes.par,
                          &sizes.tab, &sizes.mult_width}) {
    *field = reader.U32();
  }
  reader.Finish();
  constexpr uint32_t kEntries = 1u << 20;
  if (!PowerOfTwo(sizes.rows, 1, 64) || !PowerOfTwo(sizes.block, 4, 128) ||
      !PowerOfTwo(sizes.act, 16, kEntries) || !PowerOfTwo(sizes.wgt, 1, kEntries) ||
      !PowerOfTwo(sizes.acc, 2, kEntries) || !PowerOfTwo(sizes.par, 8, 1u << 16) ||
      !PowerOfTwo(sizes.tab, 1, 64) || sizes.mult_width < 8 || sizes.mult_width > 31) {
    Fail("the artifact's section HWSZ holds sizes that no configuration has");
  }
  return sizes;
}

// a * b, or more than kMaxDramBytes where that is the case.
uint64_t Product(uint64_t a, uint64_t b) {
  if (a > kMaxDramBytes || b > kMaxDramBytes || (a != 0 && b > kMaxDramBytes / a)) {
    return kMaxDramBytes + 1;
  }
  return a * b;
}

Fold ReadFold(Reader* reader) {
  Fold fold;
  for (auto* pair : {&fold.taps, &fold.step, &fold.dilation}) {
    for (int64_t& number : *pair) number = reader->I32();
  }
  for (int64_t& pad : fold.pads) pad = reader->I32();
  fold.pad_value = reader->I32();
  return fold;
}

void ReadShape(Reader* reader, TensorPort* port) {
  port->name = reader->Text();
  const uint32_t rank = reader->U32();
  if (rank > kMaxRank) {
    Fail("the artifact's tensor " + port->name + " has rank " + std::to_string(rank));
  }
  for (uint32_t i = 0; i < rank; ++i) {
    const uint64_t extent = reader->U64();
    if (extent < 1 || extent > kMaxDramBytes) {
      Fail("the artifact's tensor " + port->name + " has an axis of " + std::to_string(extent));
    }
    port->shape.push_back(static_cast<int64_t>(extent));
  }
}

InputPort ReadInput(Reader* reader) {
  InputPort port;
  ReadShape(reader, &port);
  const uint32_t layout = reader->U32();
  if (layout > static_cast<uint32_t>(Layout::kNHWC)) {
    Fail("the artifact's tensor " + port.name + " has layout " + std::to_string(layout));
  }
  port.layout = static_cast<Layout>(layout);
  for (uint64_t& extent : port.dims) extent = reader->U64();
  port.address = reader->U64();
  port.fold = ReadFold(reader);
  return port;
}

OutputPort ReadOutput(Reader* reader) {
  OutputPort port;
  ReadShape(reader, &port);
  const uint32_t count = reader->U32();
  for (uint32_t i = 0; i < count; ++i) {
    reader->Text();  // the value's name, for people
    Piece piece;
    piece.channels = reader->U64();
    piece.first = reader->U64();
    for (uint64_t& extent : piece.dims) extent = reader->U64();
    piece.offset = reader->U64();
    for (uint64_t& stride : piece.strides) stride = reader->U64();
    piece.address = reader->U64();
    port.pieces.push_back(piece);
  }
  return port;
}

// The product of all numbers, or more than kMaxDramBytes where that is the case.
template <typename Numbers>
uint64_t ProductOf(const Numbers& numbers) {
  uint64_t product = 1;
  for (const auto number : numbers) product = Product(product, static_cast<uint64_t>(number));
  return product;
}

bool ShapeFits(const InputPort& port) {
  const auto& [n, c, h, w] = port.dims;
  if (port.layout == Layout::kNCHW) return ProductOf(port.shape) == ProductOf(port.dims);
  const std::vector<uint64_t> expected = {n, h, w, c};
  return std::vector<uint64_t>(port.shape.begin(), port.shape.end()) == expected;
}

void CheckFold(const InputPort& port) {
  const Fold& fold = port.fold;
  for (const auto& pair : {fold.taps, fold.step, fold.dilation}) {
    if (pair[0] < 1 || pair[1] < 1) {
      Fail("the artifact's tensor " + port.name + " has a fold with " + std::to_string(pair[0]) +
           " and " + std::to_string(pair[1]) + " where each must be at least 1");
    }
  }
  if (fold.pad_value < INT8_MIN || fold.pad_value > INT8_MAX) {
    Fail("the artifact's tensor " + port.name + " has a fold with pad value " +
         std::to_string(fold.pad_value) + ", which is not an int8");
  }
  if (fold.Extent(0, port.dims[2]) < 1 || fold.Extent(1, port.dims[3]) < 1) {
    Fail("the artifact's tensor " + port.name + " has a fold that leaves no pixel of it");
  }
}

// Bytes of the folded, blocked value, or more than kMaxDramBytes where that is the case.
uint64_t PackedBytes(const InputPort& port, uint64_t block) {
  const Fold& fold = port.fold;
  const auto& [n, c, h, w] = port.dims;
  const uint64_t channels = Product(Product(fold.taps[0], fold.taps[1]), c);
  const uint64_t lanes = (channels + block - 1) / block * block;
  return Product(Product(Product(n, lanes), fold.Extent(0, h)), fold.Extent(1, w));
}

void CheckDims(const TensorPort& port, const std::array<uint64_t, 4>& dims) {
  for (uint64_t extent : dims) {
    if (extent < 1 || extent > kMaxDramBytes) {
      Fail("the artifact's tensor " + port.name + " has a dimension of " + std::to_string(extent));
    }
  }
  if (std::max(ProductOf(dims), ProductOf(port.shape)) > kMaxDramBytes) {
    Fail("the artifact's tensor " + port.name + " has more than " + std::to_string(kMaxDramBytes) +
         " elements");
  }
}

// `size` bytes at `address` must lie in the arena.
void CheckPlace(const TensorPort& port, uint64_t address, uint64_t size, const Program& program) {
  if (address < program.constant_bytes || address > program.dram_bytes ||
      size > program.dram_bytes - address) {
    Fail("the artifact's tensor " + port.name + " lies outside the arena");
  }
}

void CheckInput(const InputPort& port, const Artifact& artifact) {
  CheckDims(port, port.dims);
  if (!ShapeFits(port)) {
    Fail("the artifact's tensor " + port.name + " has a shape that cannot become its dims");
  }
  CheckFold(port);
  CheckPlace(port, port.address, PackedBytes(port, artifact.sizes.block), artifact.program);
}

// Whether a piece of legal dims lies in an array of `size` elements.
bool LiesIn(const Piece& piece, uint64_t size) {
  uint64_t last = piece.offset;
  if (last >= size || piece.channels > kMaxDramBytes || piece.first > piece.channels ||
      piece.dims[1] > piece.channels - piece.first) {
    return false;
  }
  for (int axis = 0; axis < 4; ++axis) {
    if (piece.dims[axis] == 1) continue;
    last += Product(piece.dims[axis] - 1, piece.strides[axis]);
    if (last >= size) return false;
  }
  return true;
}

// Marks the elements of a piece that lies in the array.
void Mark(const Piece& piece, std::vector<bool>* taken) {
  const auto& [images, channels, height, width] = piece.dims;
  const auto& [image, channel, row, column] = piece.strides;
  for (uint64_t n = 0; n < images; ++n) {
    for (uint64_t c = 0; c < channels; ++c) {
      for (uint64_t h = 0; h < height; ++h) {
        const uint64_t at = piece.offset + n * image + c * channel + h * row;
        for (uint64_t w = 0; w < width; ++w) (*taken)[at + w * column] = true;
      }
    }
  }
}

void CheckOutput(const OutputPort& port, const Artifact& artifact) {
  const uint64_t size = ProductOf(port.shape);
  uint64_t elements = 0;
  for (const Piece& piece : port.pieces) {
    CheckDims(port, piece.dims);
    if (!LiesIn(piece, size)) {
      Fail("the artifact's tensor " + port.name + " has a piece that does not lie in it");
    }
    const uint64_t block = artifact.sizes.block;
    const uint64_t lanes = (piece.channels + block - 1) / block * block;
    const auto& [n, c, h, w] = piece.dims;
    CheckPlace(port, piece.address, Product(Product(Product(n, lanes), h), w), artifact.program);
    elements += ProductOf(piece.dims);
    if (elements > size) break;
  }
  if (port.pieces.empty() || elements != size) {
    Fail("the artifact's tensor " + port.name + " has pieces of another size");
  }
  std::vector<bool> taken(size);
  for (const Piece& piece : port.pieces) Mark(piece, &taken);
  if (!std::all_of(taken.begin(), taken.end(), [](bool each) { return each; })) {
    Fail("the artifact's tensor " + port.name + " has pieces that overlap");
  }
}

Span ReadSpan(Reader* reader, const Program& program) {
  Span span;
  span.start = reader->U64();
  span.size = reader->U64();
  if (span.start < program.constant_bytes || span.start > program.dram_bytes ||
      span.size > program.dram_bytes - span.start) {
    Fail("the artifact's span at " + std::to_string(span.start) + " lies outside the arena");
  }
  return span;
}

Program ReadDram(std::string_view data) {
  Reader reader(data, "the artifact's section DRAM");
  Program program;
  program.dram_bytes = reader.U64();
  program.constant_bytes = reader.U64();
  const uint32_t inputs = reader.U32();
  const uint32_t outputs = reader.U32();
  if (program.dram_bytes > kMaxDramBytes || program.constant_bytes > program.dram_bytes) {
    Fail("the artifact's DRAM of " + std::to_string(program.dram_bytes) + " bytes with " +
         std::to_string(program.constant_bytes) + " of constants is impossible");
  }
  for (uint32_t i = 0; i < inputs; ++i) program.inputs.push_back(ReadSpan(&reader, program));
  for (uint32_t i = 0; i < outputs; ++i) program.outputs.push_back(ReadSpan(&reader, program));
  reader.Finish();
  return program;
}

void ReadPorts(std::string_view data, Artifact* artifact) {
  Reader reader(data, "the artifact's section PORT");
  const uint32_t inputs = reader.U32();
  const uint32_t outputs = reader.U32();
  for (uint32_t i = 0; i < inputs; ++i) artifact->inputs.push_back(ReadInput(&reader));
  for (uint32_t i = 0; i < outputs; ++i) artifact->outputs.push_back(ReadOutput(&reader));
  reader.Finish();
  for (const InputPort& port : artifact->inputs) CheckInput(port, *artifact);
  for (const OutputPort& port : artifact->outputs) CheckOutput(port, *artifact);
}

}  // namespace

Artifact::Artifact(std::string file) : bytes(std::move(file)) {
  const auto sections = Unpack(bytes);
  const std::string_view code = sections[kCode];
  digest = sections[kHash];
  constants = sections[kCnst];
  sizes = ReadSizes(sections[kHwsz]);
  program = ReadDram(sections[kDram]);
  program.code = reinterpret_cast<const uint8_t*>(code.data());
  program.code_bytes = code.size();
  ReadPorts(sections[kPort], this);
  if (digest.size() != 32) Fail("the artifact's section HASH does not hold a configuration's hash");
  if (code.size() % kInstructionBytes != 0) {
    Fail("the artifact's code of " + std::to_string(code.size()) +
         " bytes is not a whole number of 64-byte instructions");
  }
  if (constants.size() != program.constant_bytes) {
    Fail("the artifact has " + std::to_string(constants.size()) +
         " bytes of constants and its program expects " + std::to_string(program.constant_bytes));
  }
}

}  // namespace zebra
