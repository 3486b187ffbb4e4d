using System.Runtime.InteropServices;

namespace Quench.Interop.Zstd;

/// <summary>zstd frames (RFC 8878) over spans, through libzstd. One instance serves one thread at a time and reuses its contexts.</summary>
public sealed class ZstdCodec : IDisposable
{
    private readonly CompressContext _compress = new(ZstdNative.ZSTD_createCCtx());
    private readonly DecompressContext _decompress = new(ZstdNative.ZSTD_createDCtx());

    /// <summary>The most bytes that a source of this length can become.</summary>
    public static int GetMaxCompressedLength(int sourceLength) => (int)ZstdNative.ZSTD_compressBound((nuint)sourceLength);

    /// <summary>Compresses the source into the destination.</summary>
    /// <param name="source">What to compress; borrowed during the call.</param>
    /// <param name="destination">Where the frame goes.</param>
    /// <param name="level">zstd's level, 1 (fast) to 19.</param>
    /// <param name="written">Bytes of the frame.</param>
    /// <returns>False when the frame does not fit the destination: the data does not compress that far.</returns>
    public unsafe bool TryCompress(ReadOnlySpan<byte> source, Span<byte> destination, int level, out int written)
    {
        fixed (byte* from = source)
        fixed (byte* to = destination)
        {
            nuint result = ZstdNative.ZSTD_compressCCtx(
                _compress.DangerousGetHandle(), to, (nuint)destination.Length, from, (nuint)source.Length, level);
            bool failed = ZstdNative.ZSTD_isError(result) != 0;
            written = failed ? 0 : (int)result;
            return !failed;
        }
    }

    /// <summary>Restores a frame whose content has exactly the destination's length.</summary>
    /// <returns>False when the frame is damaged or its content has another length; the destination is then undefined.</returns>
    public unsafe bool TryDecompress(ReadOnlySpan<byte> frame, Span<byte> destination)
    {
        fixed (byte* from = frame)
        fixed (byte* to = destination)
        {
            nuint result = ZstdNative.ZSTD_decompressDCtx(
                _decompress.DangerousGetHandle(), to, (nuint)destination.Length, from, (nuint)frame.Length);
            return ZstdNative.ZSTD_isError(result) == 0 && result == (nuint)destination.Length;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _compress.Dispose();
        _decompress.Dispose();
    }

    private sealed class CompressContext : SafeHandle
    {
        internal CompressContext(nint context)
            : base(0, ownsHandle: true) => SetHandle(context);

        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle() => ZstdNative.ZSTD_freeCCtx(handle) == 0;
    }

    private sealed class DecompressContext : SafeHandle
    {
        internal DecompressContext(nint context)
            : base(0, ownsHandle: true) => SetHandle(context);

        public override bool IsInvalid => handle == 0;

        protected override bool ReleaseHandle() => ZstdNative.ZSTD_freeDCtx(handle) == 0;
    }
}
