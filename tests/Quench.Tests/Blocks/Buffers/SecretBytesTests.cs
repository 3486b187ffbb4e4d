using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Quench.Blocks.Buffers;
using Quench.Interop.Memory;
using Xunit;

namespace Quench.Tests.Blocks.Buffers;

public sealed class SecretBytesTests
{
    [Fact]
    public void Taking_bytes_over_wipes_where_they_were()
    {
        byte[] source = [1, 2, 3];
        using SecretBytes secret = SecretBytes.Take(source);
        Assert.Equal([1, 2, 3], secret.Span.ToArray());
        Assert.Equal([1, 2, 3], secret.Memory.ToArray());
        Assert.Equal(new byte[3], source);
    }

    [Fact]
    public void What_is_cut_off_is_wiped()
    {
        using SecretBytes secret = SecretBytes.Take([1, 2, 3]);
        Span<byte> whole = secret.Span;
        secret.Shorten(1);
        Assert.Equal([1], secret.Span.ToArray());
        Assert.Equal([1, 0, 0], whole.ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => secret.Shorten(2));
    }

    [Fact]
    public void Equal_secrets_match_and_no_others()
    {
        using SecretBytes one = SecretBytes.Take([1, 2]);
        using SecretBytes same = SecretBytes.Take([1, 2]);
        using SecretBytes longer = SecretBytes.Take([1, 2, 0]);
        using SecretBytes none = new(0);
        Assert.True(one.Matches(same));
        Assert.False(one.Matches(longer) || one.Matches(none));
    }

    [Fact]
    public void After_its_end_a_secret_is_gone()
    {
        SecretBytes secret = SecretBytes.Take([1]);
        ReadOnlyMemory<byte> lent = secret.Memory;
        secret.Dispose();
        secret.Dispose();
        Assert.Throws<ObjectDisposedException>(() => lent.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => secret.Span.Length);
    }

    [Fact]
    public void Its_pages_are_left_out_of_core_dumps()
    {
        using NativeBuffer secret = new(64 * 1024, locked: true, undumped: true);
        using NativeBuffer other = new(64 * 1024);
        Assert.Contains(" dd", FlagsOf(secret), StringComparison.Ordinal);
        Assert.DoesNotContain(" dd", FlagsOf(other), StringComparison.Ordinal);
    }

    /// <summary>The flags of the mapping that memory lies in. (proc(5), smaps, VmFlags)</summary>
    private static string FlagsOf(NativeBuffer memory)
    {
        ulong address = (ulong)Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(memory.GetSpan()));
        bool inside = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            string[] range = line.Split(' ')[0].Split('-');
            if (range.Length == 2 && ulong.TryParse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong start)
                && ulong.TryParse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong end))
            {
                inside = start <= address && address < end;
            }
            else if (inside && line.StartsWith("VmFlags:", StringComparison.Ordinal))
            {
                return line;
            }
        }

        throw new InvalidOperationException("the memory is not mapped");
    }
}
