using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>Which commands may be tried at all. (NBD protocol, "Request types" and "Error values")</summary>
/// <param name="export">What they are about.</param>
/// <param name="structured">Whether the client takes structured replies.</param>
/// <param name="hasContexts">Whether it has chosen contexts to ask about.</param>
internal sealed class CommandRules(NbdExport export, bool structured, bool hasContexts)
{
    /// <summary>The longest read or write, in bytes.</summary>
    internal const int MaxPayload = 32 * 1024 * 1024;

    /// <summary>Why a command is refused; <see cref="NbdError.None"/> when it is not.</summary>
    internal NbdError Check(in NbdRequest request)
    {
        if ((request.Flags & ~AllowedFlags(request.Command)) != 0)
        {
            return NbdError.Invalid;
        }

        bool changes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (changes && export.IsReadOnly)
        {
            return NbdError.NotPermitted;
        }

        if (request.Command == NbdCommand.Flush)
        {
            return request is { Offset: 0, Length: 0 } ? NbdError.None : NbdError.Invalid;
        }

        ulong length = (ulong)export.Length;
        if (request.Offset > length || request.Length > length - request.Offset)
        {
            return request.Command is NbdCommand.Write or NbdCommand.WriteZeroes ? NbdError.NoSpace : NbdError.Invalid;
        }

        return request.Command switch
        {
            NbdCommand.Read when request.Length > MaxPayload => NbdError.Overflow,
            NbdCommand.Read when request.Length > TransmissionLane.PieceSize && (request.Flags & NbdCommandFlags.DontFragment) != 0 => NbdError.Overflow,
            NbdCommand.BlockStatus when !hasContexts || request.Length == 0 => NbdError.Invalid,
            NbdCommand.Read or NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes or NbdCommand.BlockStatus => NbdError.None,
            _ => NbdError.Invalid,
        };
    }

    private NbdCommandFlags AllowedFlags(NbdCommand command) => command switch
    {
        NbdCommand.Read => structured ? NbdCommandFlags.DontFragment | NbdCommandFlags.ForceUnitAccess : NbdCommandFlags.ForceUnitAccess,
        NbdCommand.WriteZeroes => NbdCommandFlags.ForceUnitAccess | NbdCommandFlags.NoHole,
        NbdCommand.BlockStatus => NbdCommandFlags.RequestOne | NbdCommandFlags.ForceUnitAccess,
        _ => NbdCommandFlags.ForceUnitAccess, // it means nothing where nothing is written, and is allowed
    };
}
