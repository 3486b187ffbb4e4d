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
    private async Task<bool> NegotiateAsync(CancellationToken cancellationToken)
    {
        bool noZeroes = await GreetAsync(cancellationToken);
        byte[] header = new byte[OptionRequest.Size];
        for (int i = 0; i < MaxOptions; i++)
        {
            if (!await _reader.TryReadAsync(header, cancellationToken))
            {
                return false;
            }

            if (!OptionRequest.TryRead(header, out OptionRequest request) || request.Length > MaxOptionLength)
            {
                throw new NbdProtocolException("no option where one was due, or one of an absurd length");
            }

            byte[] data = new byte[request.Length];
            await _reader.ReadAsync(data, cancellationToken);
            switch (await AnswerAsync(request.Option, data, noZeroes, cancellationToken))
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

    private async ValueTask<bool> GreetAsync(CancellationToken cancellationToken)
    {
        byte[] greeting = new byte[Greeting.Size];
        Greeting.Write(greeting);
        await _stream.WriteAsync(greeting, cancellationToken);
        byte[] answer = new byte[Greeting.AnswerSize];
        await _reader.ReadAsync(answer, cancellationToken);
        uint flags = BinaryPrimitives.ReadUInt32BigEndian(answer);
        return (flags & ~(Greeting.FixedNewstyle | Greeting.NoZeroes)) == 0
            ? (flags & Greeting.NoZeroes) != 0
            : throw new NbdProtocolException($"client flags 0x{flags:x} that the server did not offer");
    }

    private async ValueTask<Next> AnswerAsync(NbdOption option, byte[] data, bool noZeroes, CancellationToken cancellationToken)
    {
        if (option == NbdOption.Abort)
        {
            await ReplyAsync(option, NbdOptionReply.Ack, default, cancellationToken);
            return Next.End;
        }

        if (options.Tls is not null && _stream is not System.Net.Security.SslStream && option != NbdOption.StartTls)
        {
            return option == NbdOption.ExportName
                ? throw new NbdProtocolException("a client that wants an export without encryption")
                : await RefuseAsync(option, NbdOptionReply.TlsRequired, "encryption is required here", cancellationToken);
        }

        return option switch
        {
            NbdOption.ExportName => await ChooseOldAsync(data, noZeroes, cancellationToken),
            NbdOption.List => await ListAsync(data, cancellationToken),
            NbdOption.StartTls => await EncryptAsync(data, cancellationToken),
            NbdOption.Info or NbdOption.Go => await DescribeAsync(option, data, cancellationToken),
            NbdOption.StructuredReply => await AgreeOnStructuredAsync(data, cancellationToken),
            NbdOption.ListMetaContext or NbdOption.SetMetaContext => await ContextsAsync(option, data, cancellationToken),
            _ => await RefuseAsync(option, NbdOptionReply.Unsupported, "not an option of this server", cancellationToken),
        };
    }

    private async ValueTask<Next> ChooseOldAsync(byte[] data, bool noZeroes, CancellationToken cancellationToken)
    {
        const int Padding = 124;
        if (!WireText.TryDecode(data, out string name) || Find(name) is not { } export)
        {
            throw new NbdProtocolException("an export that does not exist"); // this option has no way to say so
        }

        Choose(export);
        byte[] answer = new byte[10 + (noZeroes ? 0 : Padding)];
        WriteSizeAndFlags(answer, export);
        await _stream.WriteAsync(answer, cancellationToken);
        return Next.Transmission;
    }

    private async ValueTask<Next> ListAsync(byte[] data, CancellationToken cancellationToken)
    {
        if (data.Length > 0)
        {
            return await RefuseAsync(NbdOption.List, NbdOptionReply.Invalid, "a list takes no data", cancellationToken);
        }

        foreach (NbdExport export in options.Exports)
        {
            byte[] name = Encoding.UTF8.GetBytes(export.Name);
            byte[] description = Encoding.UTF8.GetBytes(export.Description);
            byte[] body = new byte[4 + name.Length + description.Length];
            BinaryPrimitives.WriteInt32BigEndian(body, name.Length);
            name.CopyTo(body, 4);
            description.CopyTo(body, 4 + name.Length);
            await ReplyAsync(NbdOption.List, NbdOptionReply.Server, body, cancellationToken);
        }

        return await AcknowledgeAsync(NbdOption.List, cancellationToken);
    }

    private async ValueTask<Next> EncryptAsync(byte[] data, CancellationToken cancellationToken)
    {
        if (options.Tls is not { } tls)
        {
            return await RefuseAsync(NbdOption.StartTls, NbdOptionReply.Policy, "this server does not encrypt", cancellationToken);
        }

        if (data.Length > 0 || _stream is System.Net.Security.SslStream)
        {
            return await RefuseAsync(NbdOption.StartTls, NbdOptionReply.Invalid, "it takes no data, and is said once", cancellationToken);
        }

        await ReplyAsync(NbdOption.StartTls, NbdOptionReply.Ack, default, cancellationToken);
        await StartTlsAsync(tls, cancellationToken);
        return Next.Option;
    }

    private async ValueTask<Next> DescribeAsync(NbdOption option, byte[] data, CancellationToken cancellationToken)
    {
        if (!ExportQuery.TryRead(data, out string name, out List<NbdInfo> wanted))
        {
            return await RefuseAsync(option, NbdOptionReply.Invalid, "a length does not fit", cancellationToken);
        }

        if (Find(name) is not { } export)
        {
            return await RefuseAsync(option, NbdOptionReply.Unknown, "no such export", cancellationToken);
        }

        byte[] answer = new byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(answer, (ushort)NbdInfo.Export);
        WriteSizeAndFlags(answer.AsSpan(2), export);
        await ReplyAsync(option, NbdOptionReply.Info, answer, cancellationToken);
        await DescribeMoreAsync(option, export, wanted, cancellationToken);
        await ReplyAsync(option, NbdOptionReply.Ack, default, cancellationToken);
        if (option == NbdOption.Info)
        {
            return Next.Option;
        }

        Choose(export);
        return Next.Transmission;
    }

    private async ValueTask DescribeMoreAsync(NbdOption option, NbdExport export, List<NbdInfo> wanted, CancellationToken cancellationToken)
    {
        byte[] sizes = new byte[14];
        BinaryPrimitives.WriteUInt16BigEndian(sizes, (ushort)NbdInfo.BlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(2), MinBlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(6), PreferredBlockSize);
        BinaryPrimitives.WriteInt32BigEndian(sizes.AsSpan(10), CommandRules.MaxPayload);
        await ReplyAsync(option, NbdOptionReply.Info, sizes, cancellationToken);
        foreach ((NbdInfo info, string text) in new[] { (NbdInfo.Name, export.Name), (NbdInfo.Description, export.Description) })
        {
            if (wanted.Contains(info))
            {
                byte[] bytes = new byte[2 + Encoding.UTF8.GetByteCount(text)];
                BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)info);
                Encoding.UTF8.GetBytes(text, bytes.AsSpan(2));
                await ReplyAsync(option, NbdOptionReply.Info, bytes, cancellationToken);
            }
        }
    }

    private async ValueTask<Next> AgreeOnStructuredAsync(byte[] data, CancellationToken cancellationToken)
    {
        if (data.Length > 0)
        {
            return await RefuseAsync(NbdOption.StructuredReply, NbdOptionReply.Invalid, "it takes no data", cancellationToken);
        }

        _structured = true;
        return await AcknowledgeAsync(NbdOption.StructuredReply, cancellationToken);
    }

    private async ValueTask<Next> ContextsAsync(NbdOption option, byte[] data, CancellationToken cancellationToken)
    {
        bool choosing = option == NbdOption.SetMetaContext;
        if (choosing)
        {
            _chosen = []; // also when it fails
        }

        if (!_structured || !ContextQuery.TryRead(data, out string name, out List<string> queries))
        {
            return await RefuseAsync(option, NbdOptionReply.Invalid, "structured replies come first, and lengths must fit", cancellationToken);
        }

        if (Find(name) is not { } export)
        {
            return await RefuseAsync(option, NbdOptionReply.Unknown, "no such export", cancellationToken);
        }

        List<INbdContext> found = Match(export, queries, choosing);
        for (int i = 0; i < found.Count; i++)
        {
            byte[] body = new byte[4 + Encoding.UTF8.GetByteCount(found[i].Name)];
            BinaryPrimitives.WriteInt32BigEndian(body, choosing ? i + 1 : 0);
            Encoding.UTF8.GetBytes(found[i].Name, body.AsSpan(4));
            await ReplyAsync(option, NbdOptionReply.MetaContext, body, cancellationToken);
        }

        if (choosing)
        {
            (_chosen, _chosenFor) = (found, name);
        }

        return await AcknowledgeAsync(option, cancellationToken);
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

    private async ValueTask<Next> AcknowledgeAsync(NbdOption option, CancellationToken cancellationToken)
    {
        await ReplyAsync(option, NbdOptionReply.Ack, default, cancellationToken);
        return Next.Option;
    }

    private async ValueTask<Next> RefuseAsync(NbdOption option, NbdOptionReply why, string text, CancellationToken cancellationToken)
    {
        await ReplyAsync(option, why, Encoding.UTF8.GetBytes(text), cancellationToken);
        return Next.Option;
    }

    private ValueTask ReplyAsync(NbdOption option, NbdOptionReply type, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] message = new byte[OptionReplyHeader.Size + data.Length];
        OptionReplyHeader.Write(message, option, type, data.Length);
        data.CopyTo(message.AsMemory(OptionReplyHeader.Size));
        return _stream.WriteAsync(message, cancellationToken);
    }
}
