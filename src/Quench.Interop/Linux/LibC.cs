using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>The C library's calls, with their own names. Callers use the wrappers beside this file.</summary>
internal static unsafe partial class LibC
{
    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags, int mode);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint pread(SafeFileHandle fd, byte* buffer, nuint count, long offset);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint pwrite(SafeFileHandle fd, byte* buffer, nuint count, long offset);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint read(SafeFileHandle fd, byte* buffer, nuint count);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint write(SafeFileHandle fd, byte* buffer, nuint count);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int fsync(SafeFileHandle fd);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int fdatasync(SafeFileHandle fd);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int syncfs(SafeFileHandle fd);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int ftruncate(SafeFileHandle fd, long length);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int fallocate(SafeFileHandle fd, int mode, long offset, long length);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial long lseek(SafeFileHandle fd, long offset, int whence);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int renameat2(int oldDirectory, string oldPath, int newDirectory, string newPath, uint flags);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int linkat(int oldDirectory, string oldPath, int newDirectory, string newPath, int flags);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statx(int directory, string path, int flags, uint mask, Statx* status);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mkdir(string path, uint mode);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int unlink(string path);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint getdents64(SafeFileHandle fd, byte* buffer, nuint count);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int fcntl(SafeFileHandle fd, int command, nint argument);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int ioctl(SafeFileHandle fd, nuint request, nint argument);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int ioctl(SafeFileHandle fd, nuint request, void* argument);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint syscall(nint number, nint a, byte* b, void* c, nuint d);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int munmap(void* address, nuint length);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int mlock(void* address, nuint length);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int madvise(void* address, nuint length, int advice);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int setrlimit(int resource, ResourceLimit* limit);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int mlockall(int flags);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int prctl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mount(string source, string target, string type, nuint flags, string data);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int umount2(string target, int flags);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int poll(PollFd* descriptors, nuint count, int timeoutMilliseconds);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int setsid();

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int close_range(uint first, uint last, int flags);

    [LibraryImport(Libraries.LibC, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int memfd_create(string name, uint flags);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int socketpair(int domain, int type, int protocol, int* pair);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint send(SafeFileHandle fd, byte* buffer, nuint count, int flags);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial nint recv(SafeFileHandle fd, byte* buffer, nuint count, int flags);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnp(int* process, byte* file, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport(Libraries.LibC, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, string path, int flags, uint mode);

    [LibraryImport(Libraries.LibC, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int posix_spawn_file_actions_addchdir_np(byte* actions, string path);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_setpgroup(byte* attributes, int group);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_setsigdefault(byte* attributes, byte* signals);

    [LibraryImport(Libraries.LibC)]
    internal static partial int posix_spawnattr_setsigmask(byte* attributes, byte* signals);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int waitpid(int process, int* status, int options);

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    internal static partial int kill(int process, int signal);

    [LibraryImport(Libraries.LibC)]
    internal static partial void _exit(int status);

    [LibraryImport(Libraries.LibC)]
    internal static partial uint geteuid();

    [LibraryImport(Libraries.LibC)]
    internal static partial int gettid();

    [StructLayout(LayoutKind.Sequential)]
    internal struct PollFd
    {
        internal int Fd;
        internal short Events;
        internal short Revents;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct ResourceLimit
    {
        internal ulong Current;
        internal ulong Maximum;
    }

    /// <summary>struct statx. (linux/stat.h) 256 bytes on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct Statx
    {
        [FieldOffset(0x00)] internal uint Mask;
        [FieldOffset(0x14)] internal uint Owner;
        [FieldOffset(0x1C)] internal ushort Mode;
        [FieldOffset(0x20)] internal ulong Inode;
        [FieldOffset(0x28)] internal ulong Size;
        [FieldOffset(0x30)] internal ulong Blocks;
        [FieldOffset(0x60)] internal long ChangedSeconds;
        [FieldOffset(0x68)] internal uint ChangedNanoseconds;
        [FieldOffset(0x70)] internal long ModifiedSeconds;
        [FieldOffset(0x78)] internal uint ModifiedNanoseconds;
        [FieldOffset(0x80)] internal uint RdevMajor;
        [FieldOffset(0x84)] internal uint RdevMinor;
        [FieldOffset(0x88)] internal uint DevMajor;
        [FieldOffset(0x8C)] internal uint DevMinor;
        [FieldOffset(0x90)] internal ulong MountNumber;
        [FieldOffset(0x98)] internal uint DirectMemoryAlign;
        [FieldOffset(0x9C)] internal uint DirectOffsetAlign;
    }

    /// <summary>struct open_how. (linux/openat2.h)</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct OpenHow
    {
        internal ulong Flags;
        internal ulong Mode;
        internal ulong Resolve;
    }
}
