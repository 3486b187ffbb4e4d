using System.Globalization;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>When a point was verified, in a few words.</summary>
internal static class VerifiedText
{
    /// <summary>"data 2026-01-31", "damaged 2026-01-31"; empty when it never was.</summary>
    public static string Of(PointCheck? check) => check is null
        ? ""
        : $"{(check.IsSound ? DamageText.NameOf(check.Level) : "damaged")} {check.At.ToLocalTime().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}";
}
