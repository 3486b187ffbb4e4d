namespace Quench.Interop.Linux;

/// <summary>Linux error numbers by their own names. (asm-generic/errno-base.h, errno.h)</summary>
#pragma warning disable CS1591 // each member is the kernel's own name for its number
#pragma warning disable CA1008 // zero is not an error and has no name
public enum Errno
{
    EPERM = 1,
    ENOENT = 2,
    EINTR = 4,
    EIO = 5,
    ENXIO = 6,
    EBADF = 9,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EBUSY = 16,
    EEXIST = 17,
    EXDEV = 18,
    ENODEV = 19,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    EMFILE = 24,
    ENOTTY = 25,
    EFBIG = 27,
    ENOSPC = 28,
    EROFS = 30,
    ENOSYS = 38,
    ENODATA = 61,
    EOPNOTSUPP = 95,
    ECONNABORTED = 103,
    ENOTCONN = 107,
    EDQUOT = 122,
    ECANCELED = 125,
}
