namespace Quench.Snapshots.Tracking;

/// <summary>What can be told of an origin without reading it. Compared for equality only.</summary>
/// <param name="Length">Bytes.</param>
/// <param name="Identity">Which origin it is, the same after a reboot; null when nothing of it can be recognised again.</param>
/// <param name="Stamp">Differs after any write to it; null when this machine can't tell.</param>
/// <param name="BootId">The kernel's run.</param>
/// <param name="IsUntouchedSinceBoot">Nobody has written it in this run of the kernel.</param>
internal sealed record OriginFacts(long Length, string? Identity, string? Stamp, string BootId, bool IsUntouchedSinceBoot);

/// <summary>What `quench detach` wrote down of an origin whose worker had died: what a clean detach would have put into the checkpoint.</summary>
/// <param name="Session">The dead worker's attachment.</param>
/// <param name="Stamp">The origin's stamp then; null when it could not be told.</param>
/// <param name="Lost">Why nothing may be believed; null when the worker was still tracking when it died.</param>
internal sealed record OriginSeal(Guid Session, string? Stamp, string? Lost);
