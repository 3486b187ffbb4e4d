using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>A system call failed. The message names the call, what it was made on, and the kernel's reason.</summary>
public sealed class LinuxErrorException : IOException
{
    /// <summary>Describes a failure that has been observed.</summary>
    /// <param name="errno">The error number, read right after the call.</param>
    /// <param name="operation">What was attempted, as a verb phrase: "open", "fsync".</param>
    /// <param name="subject">What it was attempted on: a path, or null when there is none.</param>
    public LinuxErrorException(Errno errno, string operation, string? subject)
        : base(Describe(errno, operation, subject))
    {
        Errno = errno;
        Operation = operation;
        Subject = subject;
    }

    /// <summary>The kernel's error number.</summary>
    public Errno Errno { get; }

    /// <summary>What was attempted.</summary>
    public string Operation { get; }

    /// <summary>What it was attempted on, when known.</summary>
    public string? Subject { get; }

    /// <summary>True when the medium has no room: ENOSPC or EDQUOT.</summary>
    public bool IsOutOfSpace => Errno is Errno.ENOSPC or Errno.EDQUOT;

    /// <summary>Makes the exception for the error number that the last call left behind.</summary>
    internal static LinuxErrorException FromLastError(string operation, string? subject = null) =>
        new((Errno)Marshal.GetLastPInvokeError(), operation, subject);

    private static string Describe(Errno errno, string operation, string? subject)
    {
        string reason = Marshal.GetPInvokeErrorMessage((int)errno);
        string name = Enum.IsDefined(errno) ? errno.ToString() : $"errno {(int)errno}";
        return subject is null ? $"{operation}: {reason} ({name})" : $"{operation} {subject}: {reason} ({name})";
    }
}
