"""The instruction set: declaration, codec, golden semantics, verifier, disassembler."""
