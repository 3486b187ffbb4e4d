using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>
/// Does something as another user. A server that knows its clients by the user at the other end of a Unix socket sees who called connect(2), so root can speak to it as its
/// own user, without a password and without a second program. (unix(7), SO_PEERCRED; credentials(7): the kernel keeps them for each thread)
/// </summary>
public static unsafe class ThreadIdentity
{
    private const nint SYS_setresuid = 117;
    private const nint Arm64SetResUserId = 147;
    private const nint Unchanged = -1;

    /// <summary>Runs an action on a thread of its own that has another effective user meanwhile; the process and its other threads keep theirs.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="action">Short: nothing that hands work to other threads.</param>
    /// <returns>Completes when the thread has ended; fails as the action failed.</returns>
    /// <exception cref="LinuxErrorException">This process may not be that user.</exception>
    public static Task RunAsAsync(uint userId, Action action)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Thread thread = new(() =>
        {
            try
            {
                SetEffectiveUser((nint)userId);
                action(); // the thread ends with its identity: there is nothing to give back
                done.SetResult();
            }
            catch (Exception failure) // whatever it was, it is the caller's
            {
                done.SetException(failure);
            }
        })
        {
            IsBackground = true,
            Name = "as another user",
        };
        thread.Start();
        return done.Task;
    }

    /// <summary>The system call itself: the C library's function of that name would change every thread of the process.</summary>
    private static void SetEffectiveUser(nint userId)
    {
        nint number = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? Arm64SetResUserId : SYS_setresuid;
        void* unchanged = unchecked((void*)Unchanged);
        if (LibC.syscall(number, Unchanged, (byte*)userId, unchanged, 0) != 0)
        {
            throw LinuxErrorException.FromLastError($"become user {userId}");
        }
    }
}
