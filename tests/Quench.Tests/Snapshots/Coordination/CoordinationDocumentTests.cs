using System.Xml;
using System.Xml.Schema;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Documents;
using Quench.Tests.Architecture;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

public sealed class CoordinationDocumentTests
{
    [Fact]
    public async Task Both_documents_fit_their_schemas_and_give_back_what_writers_handed_over()
    {
        (IReadOnlyList<WriterReport> reports, ComponentPlaces places) = await ReportAsync();
        string metadata = WriterMetadataDocument.Write(reports);
        string components = BackupComponentsDocument.Write(
            Guid.NewGuid(), [("root", "/dev/sda1", "application")], reports, index => [new BackedUpComponent("data", "application", places.Of(index, "data"))]);
        Validate(metadata, "writer-metadata.xsd", WriterMetadataDocument.Namespace);
        Validate(components, "backup-components.xsd", BackupComponentsDocument.Namespace);
        (Guid instance, WriterDocument document) = Assert.Single(BackupComponentsDocument.ReadDocuments(components));
        Assert.Equal((reports[0].Identity.InstanceId, new WriterDocument("label", "/data/label", "START <WAL> & more\n")), (instance, document));
        Assert.Contains("put it &lt;back&gt; &amp; start \uFFFD it", metadata, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a bell \u0007", "a bell \uFFFD")]
    [InlineData("a whole \uD83D\uDE00 pair", "a whole \uD83D\uDE00 pair")]
    public void What_XML_can_not_hold_is_replaced(string text, string expected) => Assert.Equal(expected, Quench.Snapshots.Coordination.Documents.XmlText.Clean(text));

    [Fact] // a half of a pair can't be in an attribute's text
    public void Half_a_pair_of_surrogates_is_replaced() =>
        Assert.Equal("half \uFFFD of a pair", Quench.Snapshots.Coordination.Documents.XmlText.Clean("half " + (char)0xD83D + " of a pair"));

    private static async Task<(IReadOnlyList<WriterReport> Reports, ComponentPlaces Places)> ReportAsync()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await using WriterCoordination coordination = new(
            new CoordinationOptions { Volumes = [new OperationVolume("root", "/dev/sda1", "/")], Sources = [new ScriptedSource(() => new ScriptedWriter("one"))] }, TimeProvider.System);
        await coordination.HoldAsync(token);
        await coordination.LetGoAsync(taken: true);
        return (await coordination.SettleAsync(token), coordination.Places);
    }

    private static void Validate(string document, string schema, string ns)
    {
        XmlSchemaSet schemas = new();
        schemas.Add(ns, Path.Combine(Repository.Root, "docs", "schemas", schema));
        List<string> faults = [];
        XmlReaderSettings settings = new() { ValidationType = ValidationType.Schema, Schemas = schemas };
        settings.ValidationEventHandler += (_, fault) => faults.Add(fault.Message);
        using XmlReader reader = XmlReader.Create(new StringReader(document), settings);
        while (reader.Read())
        {
            // Reading is what validates.
        }

        Assert.Empty(faults);
    }
}
