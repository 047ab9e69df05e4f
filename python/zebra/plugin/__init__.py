"""What ``import zebra`` adds to TVM: targets, code generation, and relay.build for them."""

from __future__ import annotations

from zebra.plugin.environment import has_compiler, require_tvm


def install() -> None:
    """Add Zebra to the tvm of this process; a second call changes nothing.

    In a runtime-only tvm this only loads the runtime module. Raises
    EnvironmentMismatchError if tvm is missing or is not 0.19.
    """
    tvm = require_tvm()
    # These import tvm, which is known to be the right one only now.
    from zebra.plugin.errors import register_errors
    from zebra.runtime.tvm_module import is_built, load_library

    register_errors()
    # A source tree that was not built can still compile; running says what is missing.
    if is_built():
        load_library()
    if has_compiler(tvm):
        from zebra.plugin.codegen import register_codegen
        from zebra.plugin.hooks import install_hooks
        from zebra.plugin.targets import register_targets

        register_targets()
        register_codegen()
        install_hooks()
