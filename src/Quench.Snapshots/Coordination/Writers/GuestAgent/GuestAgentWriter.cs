using System.Net.Sockets;

namespace Quench.Snapshots.Coordination.Writers.GuestAgent;

/// <summary>A virtual machine whose disks lie on the volumes: its agent flushes and freezes its file systems over the instant.</summary>
internal sealed class GuestAgentWriter(WriterIdentity identity, string socket, IReadOnlyList<string> folders, TimeProvider clock) : GuardedWriter(identity, clock)
{
    internal const string SourceName = "qemu";

    /// <inheritdoc/>
    protected override IReadOnlyList<string> Words => [SourceName, socket];

    /// <inheritdoc/>
    protected override async ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        if (folders.Count == 0)
        {
            throw new WriterException(WriterError.NonRetryable, $"nothing says where the disks of {Identity.InstanceName} lie: name their folders with {SourceName}.folders.{Identity.InstanceName}=/path");
        }

        using AgentLine line = await AgentCommands.BeginAsync(socket, GuestAgentHold.AnswerLimit, Clock, cancellationToken);
        (string version, string? whyNot) = await AgentCommands.LookAsync(line, cancellationToken);
        return new WriterMetadata
        {
            Level = FreezeLevel.System,
            Version = version,
            Method = "the guest's agent flushes and freezes its file systems (guest-fsfreeze-freeze); a restored disk has clean file systems, and applications in it find what they had written by then, unless the agent's hooks held them too",
            Components =
            [
                new WriterComponent
                {
                    Name = Identity.InstanceName,
                    Caption = $"the disks of the virtual machine {Identity.InstanceName}",
                    Kind = ComponentKind.FileGroup,
                    Files = [.. folders.Select(folder => new ComponentFiles(folder))],
                    RestoreNote = "The virtual machine must be off while its disks are put back.",
                },
            ],
            CannotHold = whyNot,
        };
    }

    /// <inheritdoc/>
    protected override Task LetGoWithoutGuardAsync() => GuestAgentHold.ThawAsync(socket, null, Clock);

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation)
    {
        if (operation.Target != "/" || !File.Exists(socket))
        {
            return null;
        }

        try
        {
            using Socket machine = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            machine.Connect(new UnixDomainSocketEndPoint(socket)); // to QEMU itself, which listens as long as it runs
            return $"the virtual machine {Identity.InstanceName} runs: switch it off first";
        }
        catch (SocketException failure)
        {
            return failure.SocketErrorCode == SocketError.ConnectionRefused ? null : $"whether the virtual machine {Identity.InstanceName} runs can't be seen ({failure.Message}): switch it off first";
        }
    }
}
