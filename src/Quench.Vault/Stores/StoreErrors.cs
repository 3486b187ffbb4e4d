using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Vault.Stores;

/// <summary>The failures of a medium, as they leave a store.</summary>
internal static class StoreErrors
{
    /// <summary>Puts a system's failure into the family of failures that leave our doors.</summary>
    /// <param name="location">The store.</param>
    /// <param name="what">What was attempted, on which object.</param>
    /// <param name="cause">The failure.</param>
    internal static QuenchException From(string location, string what, Exception cause) =>
        cause is LinuxErrorException { IsOutOfSpace: true }
            ? new QuenchException(
                "VAULT-062", $"no space left in {location}: {what}", "make room there and run it again; the vault and its recovery points are as they were", cause)
            : new QuenchException("VAULT-063", $"{what} in {location} failed: {cause.Message}", "check the medium and the permissions", cause)
            {
                CanRetry = cause is LinuxErrorException { Errno: Errno.EAGAIN or Errno.EMFILE or Errno.ENOMEM },
            };
}
