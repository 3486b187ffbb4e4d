using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Roots;

/// <summary>Says whether some bytes are what a root of a name must be, in an open vault. (§2.1)</summary>
/// <param name="Keys">The vault's keys, its ring loaded.</param>
/// <param name="Format">The object "format", as the config vouches for it.</param>
internal sealed record RootJudge(VaultKeys Keys, byte[] Format)
{
    internal bool IsSound(string name, byte[] content)
    {
        if (name == ObjectNames.Format)
        {
            return content.AsSpan().SequenceEqual(Format);
        }

        return name.StartsWith(ObjectNames.Slots, StringComparison.Ordinal)
            ? Unlocking.IsSound(Keys.VaultId, name, content)
            : KindOf(name) is { } kind && Opens(kind, name, content);
    }

    private static EnvelopeKind? KindOf(string name) => name[..(name.IndexOf('/', StringComparison.Ordinal) + 1)] switch
    {
        ObjectNames.Configs => EnvelopeKind.Config,
        ObjectNames.Rings => EnvelopeKind.Ring,
        ObjectNames.Points => EnvelopeKind.Point,
        ObjectNames.Commits => EnvelopeKind.Commit,
        _ => null,
    };

    private bool Opens(EnvelopeKind kind, string name, byte[] content)
    {
        byte[]? body = Keys.TryOpenEnvelope(kind, name, content);
        if (kind == EnvelopeKind.Ring && body is not null)
        {
            System.Security.Cryptography.CryptographicOperations.ZeroMemory(body);
        }

        return body is not null && (kind != EnvelopeKind.Commit || CommitBody.TryRead(body, out _));
    }
}
