using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Tests.Vault;

/// <summary>Another process with the vault's keys, which forgets and collects: only as far as its objects are concerned.</summary>
internal static class OtherHand
{
    internal static Task ForgetAsync(IObjectStore store, Guid point) =>
        PutAsync(store, EnvelopeKind.Forget, ObjectNames.Forget(point), System.Text.Encoding.UTF8.GetBytes("{}"));

    internal static Task CondemnNothingAsync(IObjectStore store, long generation) =>
        PutAsync(store, EnvelopeKind.Condemned, ObjectNames.Condemned(generation), PackListBody.Write(generation, []));

    internal static Task EndAsync(IObjectStore store, long generation) =>
        PutAsync(store, EnvelopeKind.Done, ObjectNames.Done(generation), BitConverter.GetBytes(generation));

    private static async Task PutAsync(IObjectStore store, EnvelopeKind kind, string name, byte[] body)
    {
        VaultOpening opening = await VaultOpening.OpenAsync(store, VaultLab.Password, VaultLab.Token);
        await store.PutAsync(name, opening.Keys.SealEnvelope(kind, name, body), VaultLab.Token);
        opening.Keys.Dispose();
    }
}
