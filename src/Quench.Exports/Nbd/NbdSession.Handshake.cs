using System.Buffers.Binary;
using System.Text;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <content>Greeting and options: fixed newstyle. (NBD protocol, "Handshake")</content>
internal sealed partial class NbdSession
{
    private const int MaxOptionLength = 64 * 1024;
    private const int MaxOptions = 1024;
    private const int MinBlockSize = 1;
    private const int PreferredBlockSize = 64 * 1024;

    private List<INbdContext> _chosen = []; // what the client may ask about, by id from 1; only for _chosenFor
    private string _chosenFor = "";

    /// <summary>Agrees with the client on an export.</summary>
    /// <returns>False when it leaves instead.</returns>
    private bool Negotiate()
    {
        bool noZeroes = Greet();
        byte[] header = new byte[OptionRequest.Size];
        for (int i = 0; i < MaxOptions; i++)
        {
            if (!_wire.TryReceive(header))
            {
                return false;
            }

            if (!OptionRequest.TryRead(header, out OptionRequest request) || request.Length > MaxOptionLength)
            {
                throw new NbdProtocolException("no option where one was due, or one of an absurd length");
            }

            byte[] data = new byte[request.Length];
            _wire.Receive(data);
            switch (Answer(request.Option, data, noZeroes))
            {
                case Next.Transmission:
                    return true;
                case Next.End:
                    return false;
            }
        }

        throw new NbdProtocolException($"more than {MaxOptions} options");
    }

    private enum Next
    {
        Option,
        Transmission,
        End,
    }

    private bool Greet()
    {
        byte[] greeting = new byte[Greeting.Size];
        Greeting.Write(greeting);
        _wire.Send(greeting);
        byte[] answer = new byte[Greeting.AnswerSize];
        _wire.Receive(answer);
        uint flags = BinaryPrimitives.ReadUInt32BigEndian(answer);
        return (flags & ~(Greeting.FixedNewstyle | Greeting.NoZeroes)) == 0
            ? (flags & Greeting.NoZeroes) != 0
            : throw new NbdProtocolException($"client flags 0x{flags:x} that the server did not offer");
    }

    private Next Answer(NbdOption option, byte[] data, bool noZeroes)
    {
        if (option == NbdOption.Abort)
        {
            Reply(option, NbdOptionReply.Ack, default);
            return Next.End;
        }

        if (options.Tls is not null && !_wire.IsEncrypted && option != NbdOption.StartTls)
        {
            return option == NbdOption.ExportName
                ? throw new NbdProtocolException("a client that wants an export without encryption")
                : Refuse(option, NbdOptionReply.TlsRequired, "encryption is required here");
        }

        return option switch
        {
            NbdOption.ExportName => ChooseOld(data, noZeroes),
            NbdOption.List => List(data),
            NbdOption.StartTls => Encrypt(data),
            NbdOption.Info or NbdOption.Go => Describe(option, data),
            NbdOption.StructuredReply => AgreeOnStructured(data),
            NbdOption.ListMetaContext or NbdOption.SetMetaContext => Contexts(option, data),
            _ => Refuse(option, NbdOptionReply.Unsupported, "not an option of this server"),
        };
    }

    private Next ChooseOld(byte[] data, bool noZeroes)
    {
        const int Padding = 124;
        if (!WireText.TryDecode(data, out string name) || Find(name) is not { } export)
        {
            throw new NbdProtocolException("an export that does not exist"); // this option has no way to say so
        }

        Choose(export);
        byte[] answer = new byte[10 + (noZeroes ? 0 : Padding)];
        WriteSizeAndFlags(answer, export);
        _wire.Send(answer);
        return Next.Transmission;
    }

    private Next List(byte[] data)
    {
        if (data.Length > 0)
        {
            return Refuse(NbdOption.List, NbdOptionReply.Invalid, "a list takes no data");
        }

        foreach (NbdExport export in options.Exports)
        {
            byte[] name = Encoding.UTF8.GetBytes(export.Name);
            byte[] description = Encoding.UTF8.GetBytes(export.Description);
            byte[] body = new byte[4 + name.Length + description.Length];
            BinaryPrimitives.WriteInt32BigEndian(body, name.Length);
            name.CopyTo(body, 4);
            description.CopyTo(body, 4 + name.Length);
            Reply(NbdOption.List, NbdOptionReply.Server, body);
        }

        return Acknowledge(NbdOption.List);
    }

    private Next Encrypt(byte[] data)
    {
        if (options.Tls is not { } tls)
        {
            return Refuse(NbdOption.StartTls, NbdOptionReply.Policy, "this server does not encrypt");
        }

        if (data.Length > 0 || _wire.IsEncrypted)
        {
            return Refuse(NbdOption.StartTls, NbdOptionReply.Invalid, "it takes no data, and is said once");
        }

        Reply(NbdOption.StartTls, NbdOptionReply.Ack, default);
        _wire.StartTls(tls);
        _structured = false; // nothing that was agreed in the clear holds
        _chosen = [];
        return Next.Option;
    }

    private Next Describe(NbdOption option, byte[] data)
    {
        if (!ExportQuery.TryRead(data, out string name, out List<NbdInfo> wanted))
        {
            return Refuse(option, NbdOptionReply.Invalid, "a length does not fit");
        }

        if (Find(name) is not { } export)
        {
            return Refuse(option, NbdOptionReply.Unknown, "no such export");
        }

        byte[] answer = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(answer, (ushort)NbdInfo.Export);
        WriteSizeAndFlags(answer.AsSpan(2), export);
        Reply(option, NbdOptionReply.Info, answer);
        DescribeMore(option, export, wanted);
        Reply(option, NbdOptionReply.Ack, default);
        if (option == NbdOption.Info)
        {
            return Next.Option;
        }

        Choose(export);
        return Next.Transmission;
    }

    private void DescribeMore(NbdOption option, NbdExport export, List<NbdInfo> wanted)
    {
        byte[] sizes = new byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(sizes, (ushort)NbdInfo.BlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(2), MinBlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(6), PreferredBlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(10), CommandRules.MaxPayload);
        Reply(option, NbdOptionReply.Info, sizes);
        foreach ((NbdInfo info, string text) in new[] { (NbdInfo.Name, export.Name), (NbdInfo.Description, export.Description) })
        {
            if (wanted.Contains(info))
            {
                byte[] bytes = new byte[2 + Encoding.UTF8.GetByteCount(text)];
                BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)info);
                Encoding.UTF8.GetBytes(text, bytes.AsSpan(2));
                Reply(option, NbdOptionReply.Info, bytes);
            }
        }
    }

    private Next AgreeOnStructured(byte[] data)
    {
        if (data.Length > 0)
        {
            return Refuse(NbdOption.StructuredReply, NbdOptionReply.Invalid, "it takes no data");
        }

        _structured = true;
        return Acknowledge(NbdOption.StructuredReply);
    }

    private Next Contexts(NbdOption option, byte[] data)
    {
        bool choosing = option == NbdOption.SetMetaContext;
        if (choosing)
        {
            _chosen = []; // also when it fails
        }

        if (!_structured || !ContextQuery.TryRead(data, out string name, out List<string> queries))
        {
            return Refuse(option, NbdOptionReply.Invalid, "structured replies come first, and lengths must fit");
        }

        if (Find(name) is not { } export)
        {
            return Refuse(option, NbdOptionReply.Unknown, "no such export");
        }

        List<INbdContext> found = Match(export, queries, choosing);
        for (int i = 0; i < found.Count; i++)
        {
            byte[] body = new byte[4 + Encoding.UTF8.GetByteCount(found[i].Name)];
            BinaryPrimitives.WriteInt32BigEndian(body, choosing ? i + 1 : 0);
            Encoding.UTF8.GetBytes(found[i].Name, body.AsSpan(4));
            Reply(option, NbdOptionReply.MetaContext, body);
        }

        if (choosing)
        {
            (_chosen, _chosenFor) = (found, name);
        }

        return Acknowledge(option);
    }

    /// <summary>A whole name finds its context; a namespace with its colon finds all of it, and no query everything, when a list is wanted.</summary>
    private static List<INbdContext> Match(NbdExport export, List<string> queries, bool choosing) =>
        [.. export.Contexts.Where(context => (!choosing && queries.Count == 0) || queries.Exists(query => query == context.Name
            || (!choosing && query.EndsWith(':') && context.Name.StartsWith(query, StringComparison.Ordinal))))];

    private NbdExport? Find(string name) => options.Exports.FirstOrDefault(export => export.Name == name);

    private void Choose(NbdExport export)
    {
        _export = export;
        if (_chosenFor != export.Name)
        {
            _chosen = [];
        }
    }

    private void WriteSizeAndFlags(Span<byte> wire, NbdExport export)
    {
        BinaryPrimitives.WriteInt64BigEndian(wire, export.Length);
        BinaryPrimitives.WriteUInt16BigEndian(wire[8..], (ushort)export.FlagsFor(_structured));
    }

    private Next Acknowledge(NbdOption option)
    {
        Reply(option, NbdOptionReply.Ack, default);
        return Next.Option;
    }

    private Next Refuse(NbdOption option, NbdOptionReply why, string text)
    {
        Reply(option, why, Encoding.UTF8.GetBytes(text));
        return Next.Option;
    }

    private void Reply(NbdOption option, NbdOptionReply type, ReadOnlySpan<byte> data)
    {
        byte[] message = new byte[OptionReplyHeader.Size + data.Length];
        OptionReplyHeader.Write(message, option, type, data.Length);
        data.CopyTo(message.AsSpan(OptionReplyHeader.Size));
        _wire.Send(message);
    }
}
