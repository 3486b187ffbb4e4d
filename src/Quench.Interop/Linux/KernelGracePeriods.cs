namespace Quench.Interop.Linux;

/// <summary>
/// Makes the kernel wait less: freezing a file system waits for three RCU grace periods while its writers are already held, some 15 ms
/// each; expedited ones take microseconds and cost the other processors an interrupt. (rcu_expedited, Documentation/RCU; fs/super.c)
/// </summary>
public static class KernelGracePeriods
{
    private const string Switch = "/sys/kernel/rcu_expedited";

    /// <summary>Whether expedited grace periods are on; false where the kernel has no such switch.</summary>
    public static bool AreExpedited => File.Exists(Switch) && File.ReadAllText(Switch).Trim() != "0";

    /// <summary>Switches expedited grace periods on.</summary>
    /// <returns>False when they were on already or can't be switched: then there is nothing to switch back.</returns>
    public static bool TryExpedite()
    {
        try
        {
            if (AreExpedited)
            {
                return false;
            }

            File.WriteAllText(Switch, "1");
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Switches back to normal ones.</summary>
    public static void Relax() => File.WriteAllText(Switch, "0");
}
