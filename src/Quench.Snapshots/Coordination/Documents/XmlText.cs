using System.Text;
using System.Xml;

namespace Quench.Snapshots.Coordination.Documents;

/// <summary>What the two documents have in common.</summary>
internal static class XmlText
{
    /// <summary>Writes a document with one root.</summary>
    public static string Write(string root, string ns, Action<XmlWriter> content)
    {
        StringBuilder text = new();
        using (XmlWriter xml = XmlWriter.Create(text, new XmlWriterSettings { Indent = true, OmitXmlDeclaration = true, NewLineChars = "\n", NewLineHandling = NewLineHandling.Entitize }))
        {
            xml.WriteStartElement(root, ns);
            content(xml);
            xml.WriteEndElement();
        }

        return text.ToString();
    }

    /// <summary>The root of a document, from which nothing outside of it can be reached.</summary>
    public static XmlElement Read(string document)
    {
        XmlDocument xml = new() { XmlResolver = null, PreserveWhitespace = true };
        using XmlReader reader = XmlReader.Create(new StringReader(document), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit });
        xml.Load(reader);
        return xml.DocumentElement!;
    }

    /// <summary>The children of that name.</summary>
    public static IEnumerable<XmlElement> Elements(this XmlElement parent, string name) => parent.ChildNodes.OfType<XmlElement>().Where(child => child.LocalName == name);

    public static WriterIdentity ReadIdentity(XmlElement writer) => new(
        Guid.Parse(writer.GetAttribute("id")), Guid.Parse(writer.GetAttribute("instance")), writer.GetAttribute("name"), writer.GetAttribute("instance-name"));

    public static void WriteIdentity(XmlWriter xml, WriterIdentity identity)
    {
        xml.WriteAttributeString("id", identity.Id.ToString("D"));
        xml.WriteAttributeString("instance", identity.InstanceId.ToString("D"));
        WriteAttribute(xml, "name", identity.Name);
        WriteOptional(xml, "instance-name", identity.InstanceName);
    }

    public static void WriteOptional(XmlWriter xml, string name, string value)
    {
        if (value.Length > 0)
        {
            WriteAttribute(xml, name, value);
        }
    }

    public static void WriteAttribute(XmlWriter xml, string name, string value) => xml.WriteAttributeString(name, Clean(value));

    /// <summary>A text of somebody else's with what XML cannot hold replaced: a file's name may have any byte but two. (XML 1.0, section 2.2)</summary>
    public static string Clean(string text)
    {
        StringBuilder? clean = null;
        for (int at = 0; at < text.Length; at++)
        {
            bool isPair = at + 1 < text.Length && XmlConvert.IsXmlSurrogatePair(text[at + 1], text[at]);
            if (isPair || XmlConvert.IsXmlChar(text[at]))
            {
                clean?.Append(text, at, isPair ? 2 : 1);
                at += isPair ? 1 : 0;
            }
            else
            {
                clean ??= new StringBuilder(text, 0, at, text.Length);
                clean.Append('\uFFFD');
            }
        }

        return clean?.ToString() ?? text;
    }

    public static string NameOf(FreezeLevel level) => level switch { FreezeLevel.FrontEnd => "front-end", FreezeLevel.BackEnd => "back-end", _ => "system" };

    public static string NameOf(ComponentKind kind) => kind == ComponentKind.Database ? "database" : "file-group";

    public static string NameOf(RestoreMethod method) => method switch
    {
        RestoreMethod.RestoreIfNotThere => "if-not-there",
        RestoreMethod.RestoreIfCanReplace => "if-can-replace",
        RestoreMethod.StopRestoreStart => "stop-restore-start",
        RestoreMethod.RestoreToAlternateLocation => "alternate-location",
        _ => "custom",
    };

    public static FreezeLevel LevelOf(string name) => name switch { "front-end" => FreezeLevel.FrontEnd, "back-end" => FreezeLevel.BackEnd, _ => FreezeLevel.System };

    public static ComponentKind KindOf(string name) => name == "database" ? ComponentKind.Database : ComponentKind.FileGroup;

    /// <summary>A method of a later version is one that a person must follow.</summary>
    public static RestoreMethod MethodOf(string name) => name switch
    {
        "if-not-there" => RestoreMethod.RestoreIfNotThere,
        "if-can-replace" => RestoreMethod.RestoreIfCanReplace,
        "stop-restore-start" => RestoreMethod.StopRestoreStart,
        "alternate-location" => RestoreMethod.RestoreToAlternateLocation,
        _ => RestoreMethod.Custom,
    };
}
