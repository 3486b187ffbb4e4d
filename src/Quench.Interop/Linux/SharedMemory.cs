using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>
/// Memory that several processes see, as cells of 64 bits: locked into RAM, zeroed when new, without a name. It lives as long as somebody has its
/// descriptor or its mapping, whoever dies. (memfd_create(2))
/// </summary>
/// <remarks>Thread-safe as far as single cells go; whoever uses several of them says what holds between them. Nothing is allocated after it was made.</remarks>
public sealed unsafe class SharedMemory : IDisposable
{
    private const uint MFD_CLOEXEC = 1;
    private const int MAP_SHARED = 1;
    private const int PROT_READ_WRITE = 3;

    private readonly nuint _bytes;
    private long* _cells;

    private SharedMemory(SafeFileHandle file, int cells)
    {
        File = file;
        Count = cells;
        _bytes = (nuint)cells * sizeof(long);
        void* address = LibC.mmap(null, _bytes, PROT_READ_WRITE, MAP_SHARED, (int)file.DangerousGetHandle(), 0);
        if ((nint)address == -1)
        {
            throw LinuxErrorException.FromLastError("map shared memory");
        }

        _cells = (long*)address;
        _ = LibC.mlock(address, _bytes);
    }

    /// <summary>Its descriptor, to be inherited by a program that is started.</summary>
    public SafeFileHandle File { get; }

    /// <summary>How many cells it has.</summary>
    public int Count { get; }

    /// <summary>Makes new memory.</summary>
    /// <param name="name">What /proc shows.</param>
    /// <param name="cells">How many cells of 64 bits.</param>
    public static SharedMemory Create(string name, int cells)
    {
        int descriptor = LibC.memfd_create(name, MFD_CLOEXEC);
        if (descriptor < 0)
        {
            throw LinuxErrorException.FromLastError("make shared memory");
        }

        SafeFileHandle file = new(descriptor, ownsHandle: true);
        NativeFile.SetLength(file, (long)cells * sizeof(long));
        return new SharedMemory(file, cells);
    }

    /// <summary>Maps memory that another process made.</summary>
    /// <param name="file">Its descriptor; owned from now on.</param>
    /// <param name="cells">How many cells it has.</param>
    public static SharedMemory Map(SafeFileHandle file, int cells) => new(file, cells);

    /// <summary>A cell.</summary>
    public ref long this[int cell]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)cell, (uint)Count);
            ObjectDisposedException.ThrowIf(_cells == null, this);
            return ref _cells[cell];
        }
    }

    /// <summary>Sets every cell to zero.</summary>
    public void Clear() => NativeMemory.Clear(_cells, _bytes);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_cells != null)
        {
            _ = LibC.munmap(_cells, _bytes);
            _cells = null;
            File.Dispose();
        }
    }
}
