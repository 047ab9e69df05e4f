"""Every error Zebra raises on purpose.

Each carries one sentence that says what is wrong, where, and what to do. The
classes tell programs which kind of thing was bad; the command line turns any
of them into exit code 2 without a traceback.
"""

from __future__ import annotations


class ZebraError(Exception):
    """Base class of every error that Zebra raises on purpose."""


class ConfigError(ZebraError):
    """An accelerator description (vta_config JSON) is wrong or unknown."""


class ModelError(ZebraError):
    """A model file or Relay module cannot be read or is not what it claims to be."""


class InputError(ZebraError):
    """An input (image, array, calibration batch) is missing, misshapen or not finite."""


class QuantizationError(ZebraError):
    """A network cannot be calibrated or quantized."""


class CalibrationError(InputError, QuantizationError):
    """A calibration batch is missing, misshapen, misnamed or not finite."""


class UnsupportedError(ZebraError):
    """A Graph, shape or parameter is outside what the accelerator's compiler takes."""


class EncodingError(ZebraError):
    """An instruction field does not fit, or bytes are not an instruction."""


class ProgramError(ZebraError):
    """A program breaks a rule of the machine; base of the three classes below."""


class AddressError(ProgramError):
    """An instruction touches an address outside its memory."""


class TokenError(ProgramError):
    """Dependency tokens are unbalanced, would deadlock, or leave a race."""


class UninitializedError(ProgramError):
    """An instruction reads what nothing wrote."""


class OperandError(ProgramError):
    """An instruction's operands or modes contradict each other or the configuration."""


class ArtifactError(ZebraError):
    """A compiled artifact is truncated, corrupt, of another version or another config."""


class TuningLogError(ZebraError):
    """A tuning log cannot be read, is damaged, or is of other hardware."""


class DriverError(ZebraError):
    """A driver (fsim, board) could not run an artifact."""


class EnvironmentMismatchError(ZebraError, ImportError):
    """A required package (tvm, onnx, ...) is missing or is another version."""


class UsageError(ZebraError):
    """A command line or API call is contradictory or incomplete."""


class ZebraWarning(UserWarning):
    """Something worth knowing that does not stop the work."""
