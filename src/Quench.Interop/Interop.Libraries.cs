using System.Runtime.CompilerServices;

[assembly: DisableRuntimeMarshalling]

namespace Quench.Interop;

/// <summary>The native libraries Quench calls, by soname, so that no development package is needed.</summary>
internal static class Libraries
{
    /// <summary>The C library.</summary>
    internal const string LibC = "libc";

    /// <summary>zstd; part of every Debian.</summary>
    internal const string Zstd = "libzstd.so.1";

    /// <summary>Argon2; comes with systemd through libcryptsetup.</summary>
    internal const string Argon2 = "libargon2.so.1";
}
