using System.Runtime.InteropServices;

namespace Quench.Interop.Zstd;

/// <summary>libzstd's own names. (zstd.h, stable API)</summary>
internal static unsafe partial class ZstdNative
{
    [LibraryImport(Libraries.Zstd)]
    internal static partial nint ZSTD_createCCtx();

    [LibraryImport(Libraries.Zstd)]
    internal static partial nuint ZSTD_freeCCtx(nint context);

    [LibraryImport(Libraries.Zstd)]
    internal static partial nint ZSTD_createDCtx();

    [LibraryImport(Libraries.Zstd)]
    internal static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport(Libraries.Zstd)]
    internal static partial nuint ZSTD_compressCCtx(nint context, byte* destination, nuint capacity, byte* source, nuint length, int level);

    [LibraryImport(Libraries.Zstd)]
    internal static partial nuint ZSTD_decompressDCtx(nint context, byte* destination, nuint capacity, byte* source, nuint length);

    [LibraryImport(Libraries.Zstd)]
    internal static partial uint ZSTD_isError(nuint code);

    [LibraryImport(Libraries.Zstd)]
    internal static partial nuint ZSTD_compressBound(nuint length);
}
