using System.Buffers;
using System.Runtime.InteropServices;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The process dies: nothing of it is left but what it has stored in mapped memory.</summary>
internal sealed class DeathException : Exception;

/// <summary>Memory that outlives its user, who can be made to die at any later access: before the store that the access is for.</summary>
internal sealed class MortalMemory(int length) : MemoryManager<byte>
{
    private readonly ulong[] _words = new ulong[(length + 7) / 8]; // so that it is aligned

    /// <summary>How many accesses are left until death; negative: none.</summary>
    public int AccessesToLive { get; set; } = -1;

    public override Span<byte> GetSpan()
    {
        if (AccessesToLive >= 0 && AccessesToLive-- == 0)
        {
            throw new DeathException();
        }

        return MemoryMarshal.AsBytes(_words.AsSpan())[..length];
    }

    public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
