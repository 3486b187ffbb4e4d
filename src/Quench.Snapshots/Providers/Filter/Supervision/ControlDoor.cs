using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Quench.Blocks;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What one client has going with a worker. Disposed when the client hangs up, for whatever reason.</summary>
internal interface IConversation : IDisposable
{
    /// <summary>Answers a request; a failure is thrown.</summary>
    ControlReply Answer(ControlRequest request);

    /// <summary>Whether the volume's device was detached in this conversation.</summary>
    bool HasDetached { get; }
}

/// <summary>
/// The worker's door: the Unix socket that only root can open and that the holder keeps open between two workers, a thread for each client, a line of
/// JSON each way.
/// </summary>
/// <param name="listener">Bound and listening.</param>
/// <param name="begin">Begins a conversation.</param>
/// <param name="detached">Called when a client has been told that the volume is detached: the process may end.</param>
internal sealed class ControlDoor(Socket listener, Func<IConversation> begin, Action detached)
{
    /// <summary>Opens the door. Clients that came while nobody served are let in now.</summary>
    internal void Open() => new Thread(Accept) { IsBackground = true, Name = "control" }.Start();

    private void Accept()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = listener.Accept();
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                return; // the worker is ending
            }

            new Thread(() => Serve(client)) { IsBackground = true, Name = "control-client" }.Start();
        }
    }

    private void Serve(Socket client)
    {
        using IConversation conversation = begin();
        try
        {
            using NetworkStream stream = new(client, ownsSocket: true);
            using StreamReader reader = new(stream, Encoding.UTF8);
            while (reader.ReadLine() is { } line)
            {
                byte[] reply = JsonSerializer.SerializeToUtf8Bytes(Answer(conversation, line), ControlJson.Default.ControlReply);
                stream.Write([.. reply, (byte)'\n']);
                if (conversation.HasDetached)
                {
                    detached(); // only now, because the process may end at once
                }
            }
        }
        catch (IOException)
        {
            // The client is gone; what it held is let go of.
        }
    }

    private static ControlReply Answer(IConversation conversation, string line)
    {
        try
        {
            return conversation.Answer(JsonSerializer.Deserialize(line, ControlJson.Default.ControlRequest)!);
        }
        catch (QuenchException failure)
        {
            return new ControlReply { Code = failure.Code, Message = failure.Message, Next = failure.Next, Effect = failure.Effect, ExitCode = failure.ExitCode };
        }
        catch (JsonException failure)
        {
            return new ControlReply { Code = "SNAP-139", Message = $"the worker can't read a request: {failure.Message}" };
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new ControlReply { Code = "SNAP-138", Message = $"the worker could not do it: {failure.Message}" };
        }
    }
}
