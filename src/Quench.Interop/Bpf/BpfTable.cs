using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>
/// A hash table in the kernel that BPF programs use and user space only makes. When it is full, an entry that was not used for long gives way to a new one, so it never refuses and what it forgets
/// must be found missing by whoever looks. Disposing closes it; the kernel frees it when the last program that uses it is gone too.
/// </summary>
public sealed class BpfTable : IDisposable
{
    private const int BPF_MAP_TYPE_LRU_HASH = 9;
    private const int TypeOffset = 0;
    private const int KeySizeOffset = 4;
    private const int ValueSizeOffset = 8;
    private const int EntriesOffset = 12;
    private const int NameOffset = 28;

    private readonly SafeFileHandle _map;

    private BpfTable(SafeFileHandle map) => _map = map;

    /// <summary>The table's descriptor, for programs that are loaded while it is open.</summary>
    internal int Descriptor => (int)_map.DangerousGetHandle();

    /// <summary>Makes an empty table; the kernel takes the memory for all of its entries at once.</summary>
    /// <param name="name">At most 15 letters, digits, dots and underscores.</param>
    /// <param name="entries">How many it holds.</param>
    /// <param name="keyBytes">Bytes of a key.</param>
    /// <param name="valueBytes">Bytes of a value.</param>
    /// <exception cref="LinuxErrorException">EPERM: not root; ENOMEM: no memory for it.</exception>
    public static BpfTable Create(string name, int entries, int keyBytes, int valueBytes)
    {
        BpfCall.Argument argument = new();
        argument.Set(TypeOffset, BPF_MAP_TYPE_LRU_HASH);
        argument.Set(KeySizeOffset, checked((uint)keyBytes));
        argument.Set(ValueSizeOffset, checked((uint)valueBytes));
        argument.Set(EntriesOffset, checked((uint)entries));
        argument.SetName(NameOffset, name);
        return new BpfTable(argument.Open(BpfCall.BPF_MAP_CREATE, "make the BPF table", name));
    }

    /// <inheritdoc/>
    public void Dispose() => _map.Dispose();
}
