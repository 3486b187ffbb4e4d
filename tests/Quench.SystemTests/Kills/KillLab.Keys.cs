using System.Globalization;
using System.Text;
using System.Text.Json;
using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.SystemTests.Kills;

/// <content>The ways into the first vault: at every moment the old key opens it, or the new one does.</content>
internal sealed partial class KillLab
{
    private const string WrongPassword = "VAULT-002";

    private readonly List<string> _codes = []; // recovery codes that were shown
    private string? _nextPassword; // what the password is being changed to
    private string? _removedPassword; // what the slot to remove opens with
    private int _passwords;
    private bool _isChanged; // the command has said so
    private bool _isRemoved;

    /// <summary>The id of the slot to remove.</summary>
    internal string SlotToRemove { get; private set; } = "";

    /// <summary>Adds a password that costs nothing to check, to be removed.</summary>
    internal async Task AddKeyToRemoveAsync()
    {
        (_removedPassword, _isRemoved) = (NewPassword(), false);
        await using BackupVault vault = await OpenAsync(MainVault);
        SlotToRemove = (await vault.AddPasswordAsync(Bytes(_removedPassword), s_cheap, s_cheap, CancellationToken.None)).ToString("N");
    }

    /// <summary>Gives the vault a password that costs nothing to check and takes all others away; another one is to replace it.</summary>
    internal async Task RenewPasswordAsync()
    {
        _password = _isChanged ? _nextPassword! : _password;
        string fresh = NewPassword();
        await using (BackupVault vault = await OpenAsync(MainVault))
        {
            Guid added = await vault.AddPasswordAsync(Bytes(fresh), s_cheap, s_cheap, CancellationToken.None);
            foreach (KeySlotInfo slot in (await vault.ListKeysAsync(CancellationToken.None)).Where(slot => slot.Kind == KeySlotKind.Password && slot.Id != added))
            {
                await vault.RemoveKeyAsync(slot.Id, CancellationToken.None);
            }
        }

        (_password, _nextPassword, _isChanged) = (fresh, NewPassword(), false);
    }

    private static byte[] Bytes(string secret) => Encoding.UTF8.GetBytes(secret);

    private string NewPassword() => "password " + (++_passwords).ToString(CultureInfo.InvariantCulture);

    private void NoteKey(JsonElement message)
    {
        if (message.TryGetProperty("recovery_code", out JsonElement code))
        {
            _codes.Add(code.GetString()!);
        }

        _isRemoved |= message.TryGetProperty("removed", out _);
        _isChanged |= message.TryGetProperty("replaced", out _);
    }

    /// <summary>Demands that what was promised of keys is so, and finds out which password opens the vault now.</summary>
    private async Task DemandKeysAsync(string what)
    {
        if (_nextPassword is not null)
        {
            bool opensWithOld = await OpensAsync(_password);
            Demand(!(_isChanged && opensWithOld), $"{what}: the old password opens the vault although it was said to be replaced");
            Demand(opensWithOld || await OpensAsync(_nextPassword), $"{what}: neither the old password nor the new one opens the vault");
            _password = opensWithOld ? _password : _nextPassword;
        }

        if (_isRemoved)
        {
            Demand(!await OpensAsync(_removedPassword!), $"{what}: a password opens the vault although it was said to be removed");
        }

        Demand(_codes.Count == 0 || await OpensAsync(_codes[^1]), $"{what}: a recovery code that was shown does not open the vault");
    }

    private async Task<bool> OpensAsync(string secret)
    {
        try
        {
            await using BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(MainVault), Bytes(secret), TimeProvider.System, CancellationToken.None);
            return true;
        }
        catch (QuenchException failure) when (failure.Code == WrongPassword)
        {
            return false;
        }
    }
}
