using Quench.Vault.Format;

namespace Quench.Vault;

/// <content>What a session must know before it may build upon an earlier point. (§10.5)</content>
public sealed partial class BackupVault
{
    /// <summary>Whether a garbage collection that can be seen has ended. Asked after the session was registered and before the points are listed.</summary>
    private async Task<bool> IsSettledAsync(long generation, CancellationToken cancellationToken)
    {
        if (generation == 0)
        {
            return true;
        }

        string name = ObjectNames.Done(generation);
        byte[]? bytes = await _store.GetAsync(name, cancellationToken);
        return bytes is not null && _keys.TryOpenEnvelope(EnvelopeKind.Done, name, bytes) is not null;
    }
}
