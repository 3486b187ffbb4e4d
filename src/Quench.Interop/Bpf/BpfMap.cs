using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>
/// An array of 64-bit words that BPF programs and this process share: the kernel's map, mapped into memory. Disposing unmaps it; the kernel frees it
/// when the last program that uses it is gone too. Thread-safe but for disposing.
/// </summary>
public sealed unsafe class BpfMap : IDisposable
{
    private const int BPF_MAP_TYPE_ARRAY = 2;
    private const uint BPF_F_MMAPABLE = 1024;
    private const int PROT_READ_WRITE = 3;
    private const int MAP_SHARED = 1;
    private const int TypeOffset = 0;
    private const int KeySizeOffset = 4;
    private const int ValueSizeOffset = 8;
    private const int EntriesOffset = 12;
    private const int FlagsOffset = 16;
    private const int NameOffset = 28;

    private readonly SafeFileHandle _map;
    private readonly nuint _mappedBytes;
    private ulong* _words;

    private BpfMap(SafeFileHandle map, ulong* words, nuint mappedBytes, int length, int valueBytes)
    {
        _map = map;
        _words = words;
        _mappedBytes = mappedBytes;
        Length = length;
        ValueBytes = valueBytes;
    }

    /// <summary>How many words.</summary>
    public int Length { get; }

    /// <summary>Bytes of a value, which is what a program finds by an index.</summary>
    public int ValueBytes { get; }

    /// <summary>The map's descriptor, for programs that are loaded while it is open.</summary>
    internal int Descriptor => (int)_map.DangerousGetHandle();

    /// <summary>Makes a map, all zeros.</summary>
    /// <param name="name">At most 15 letters, digits, dots and underscores.</param>
    /// <param name="entries">How many values.</param>
    /// <param name="wordsEach">Words in each value.</param>
    /// <exception cref="LinuxErrorException">EPERM: not root; EINVAL: a kernel before 5.5; ENOMEM: no memory for it.</exception>
    public static BpfMap Create(string name, int entries, int wordsEach)
    {
        BpfCall.Argument argument = new();
        argument.Set(TypeOffset, BPF_MAP_TYPE_ARRAY);
        argument.Set(KeySizeOffset, sizeof(uint));
        argument.Set(ValueSizeOffset, checked((uint)(wordsEach * sizeof(ulong))));
        argument.Set(EntriesOffset, checked((uint)entries));
        argument.Set(FlagsOffset, BPF_F_MMAPABLE);
        argument.SetName(NameOffset, name);
        return MapIntoMemory(argument.Open(BpfCall.BPF_MAP_CREATE, "make the BPF map", name), name, entries, wordsEach);
    }

    /// <summary>Opens a map that was pinned, with what is in it.</summary>
    /// <param name="path">Its name in the BPF file system.</param>
    /// <param name="entries">How many values it was made with.</param>
    /// <param name="wordsEach">Words in each value.</param>
    /// <exception cref="LinuxErrorException">ENOENT: there is none; EINVAL: it is smaller.</exception>
    public static BpfMap OpenPinned(string path, int entries, int wordsEach) => MapIntoMemory(BpfCall.OpenPinned(path), path, entries, wordsEach);

    /// <summary>Gives it a name in a mounted BPF file system: the kernel keeps it until that is removed.</summary>
    public void Pin(string path) => BpfCall.Pin(_map, path);

    private static BpfMap MapIntoMemory(SafeFileHandle map, string name, int entries, int wordsEach)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        nuint bytes = (checked((nuint)entries * (nuint)wordsEach * sizeof(ulong)) + page - 1) / page * page;
        void* address = LibC.mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, (int)map.DangerousGetHandle(), 0);
        if ((nint)address == -1)
        {
            LinuxErrorException failure = LinuxErrorException.FromLastError("map the BPF map", name);
            map.Dispose();
            throw failure;
        }

        return new BpfMap(map, (ulong*)address, bytes, checked(entries * wordsEach), wordsEach * sizeof(ulong));
    }

    /// <summary>Reads a word. What was written before it, by a program too, is seen after it.</summary>
    public ulong Read(int index) => Volatile.Read(ref Word(index));

    /// <summary>Writes a word.</summary>
    public void Write(int index, ulong value) => Volatile.Write(ref Word(index), value);

    /// <summary>Takes a word and leaves another, in one step: a bit that a program sets meanwhile is either in what is taken or in what is left.</summary>
    public ulong Exchange(int index, ulong value) => Interlocked.Exchange(ref Word(index), value);

    /// <summary>Sets bits of a word, in one step; those that are set stay so.</summary>
    public void Or(int index, ulong bits) => Interlocked.Or(ref Word(index), bits);

    /// <summary>The first word at or after an index that is not zero; <see cref="Length"/> when there is none.</summary>
    public int NextNonZero(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ObjectDisposedException.ThrowIf(_words == null, this);
        return index >= Length ? Length
            : new ReadOnlySpan<ulong>(_words + index, Length - index).IndexOfAnyExcept(0UL) is >= 0 and int found ? index + found : Length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_words != null)
        {
            _ = LibC.munmap(_words, _mappedBytes);
            _words = null;
            _map.Dispose();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref ulong Word(int index)
    {
        ObjectDisposedException.ThrowIf(_words == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Length);
        return ref _words[index];
    }
}
