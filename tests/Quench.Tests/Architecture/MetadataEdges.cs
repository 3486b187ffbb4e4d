using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Quench.Tests.Architecture;

/// <summary>
/// Which namespaces of ours the types of an assembly name: in bases, fields, signatures, locals and method bodies. Compiled metadata
/// cannot be fooled by aliases, and shows what is used, where the project file only shows what is permitted.
/// </summary>
internal sealed class MetadataEdges
{
    private static readonly Dictionary<ushort, OperandType> s_operands = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => unchecked((ushort)code.Value), code => code.OperandType);

    private readonly MetadataReader _reader;
    private readonly PEReader _image;
    private readonly HashSet<(string From, string To)> _edges = [];
    private string _from = "";

    private MetadataEdges(PEReader image)
    {
        _image = image;
        _reader = image.GetMetadataReader();
    }

    /// <summary>Pairs (namespace of the type that names, namespace of the type that is named), ours only, without those to itself.</summary>
    public static IReadOnlyCollection<(string From, string To)> Read(string assembly)
    {
        using PEReader image = new(File.OpenRead(assembly));
        MetadataEdges edges = new(image);
        foreach (TypeDefinitionHandle handle in edges._reader.TypeDefinitions)
        {
            edges.VisitType(handle);
        }

        return [.. edges._edges.Where(edge => edge.From != edge.To).Order()];
    }

    /// <summary>How many native calls an assembly's metadata declares.</summary>
    public static int CountNativeCalls(string assembly)
    {
        using PEReader image = new(File.OpenRead(assembly));
        return image.GetMetadataReader().GetTableRowCount(TableIndex.ImplMap);
    }

    private void VisitType(TypeDefinitionHandle handle)
    {
        TypeDefinition type = _reader.GetTypeDefinition(handle);
        _from = NamespaceOf(handle);
        Visit(type.BaseType);
        foreach (InterfaceImplementationHandle implemented in type.GetInterfaceImplementations())
        {
            Visit(_reader.GetInterfaceImplementation(implemented).Interface);
        }

        Signatures signatures = new(this);
        foreach (FieldDefinitionHandle field in type.GetFields())
        {
            _reader.GetFieldDefinition(field).DecodeSignature(signatures, null);
        }

        foreach (MethodDefinitionHandle method in type.GetMethods())
        {
            VisitMethod(_reader.GetMethodDefinition(method), signatures);
        }
    }

    private void VisitMethod(MethodDefinition method, Signatures signatures)
    {
        method.DecodeSignature(signatures, null);
        if (method.RelativeVirtualAddress == 0)
        {
            return;
        }

        MethodBodyBlock body = _image.GetMethodBody(method.RelativeVirtualAddress);
        if (!body.LocalSignature.IsNil)
        {
            _reader.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(signatures, null);
        }

        BlobReader code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            VisitInstruction(ref code);
        }
    }

    private void VisitInstruction(ref BlobReader code)
    {
        ushort value = code.ReadByte();
        value = value == 0xFE ? (ushort)(0xFE00 | code.ReadByte()) : value;
        switch (s_operands[value])
        {
            case OperandType.InlineNone:
                break;
            case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                code.Offset += 1;
                break;
            case OperandType.InlineVar:
                code.Offset += 2;
                break;
            case OperandType.InlineI8 or OperandType.InlineR:
                code.Offset += 8;
                break;
            case OperandType.InlineSwitch:
                int targets = code.ReadInt32(); // first: it moves the offset itself
                code.Offset += 4 * targets;
                break;
            case OperandType.InlineType or OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineTok:
                Visit(MetadataTokens.EntityHandle(code.ReadInt32()));
                break;
            default:
                code.Offset += 4;
                break;
        }
    }

    private void Visit(EntityHandle handle)
    {
        if (handle.IsNil)
        {
            return;
        }

        Signatures signatures = new(this);
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition or HandleKind.TypeReference:
                AddEdge(handle);
                break;
            case HandleKind.TypeSpecification:
                _reader.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(signatures, null);
                break;
            case HandleKind.MethodDefinition:
                AddEdge(_reader.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.FieldDefinition:
                AddEdge(_reader.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MemberReference:
                Visit(_reader.GetMemberReference((MemberReferenceHandle)handle).Parent);
                break;
            case HandleKind.MethodSpecification:
                MethodSpecification specification = _reader.GetMethodSpecification((MethodSpecificationHandle)handle);
                specification.DecodeSignature(signatures, null);
                Visit(specification.Method);
                break;
            default:
                break;
        }
    }

    private void AddEdge(EntityHandle type)
    {
        string to = NamespaceOf(type);
        if (to.StartsWith("Quench", StringComparison.Ordinal) && _from.StartsWith("Quench", StringComparison.Ordinal))
        {
            _edges.Add((_from, to));
        }
    }

    private string NamespaceOf(EntityHandle type)
    {
        if (type.Kind == HandleKind.TypeDefinition)
        {
            TypeDefinition definition = _reader.GetTypeDefinition((TypeDefinitionHandle)type);
            return definition.IsNested ? NamespaceOf(definition.GetDeclaringType()) : _reader.GetString(definition.Namespace);
        }

        TypeReference reference = _reader.GetTypeReference((TypeReferenceHandle)type);
        return reference.ResolutionScope.Kind == HandleKind.TypeReference
            ? NamespaceOf(reference.ResolutionScope)
            : _reader.GetString(reference.Namespace);
    }

    /// <summary>Walks a signature for the sake of the types it names; the answers themselves mean nothing.</summary>
    private sealed class Signatures(MetadataEdges edges) : ISignatureTypeProvider<byte, object?>
    {
        public byte GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => Note(handle);

        public byte GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => Note(handle);

        public byte GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) => Note(handle);

        public byte GetArrayType(byte elementType, ArrayShape shape) => 0;

        public byte GetByReferenceType(byte elementType) => 0;

        public byte GetFunctionPointerType(MethodSignature<byte> signature) => 0;

        public byte GetGenericInstantiation(byte genericType, ImmutableArray<byte> typeArguments) => 0;

        public byte GetGenericMethodParameter(object? genericContext, int index) => 0;

        public byte GetGenericTypeParameter(object? genericContext, int index) => 0;

        public byte GetModifiedType(byte modifier, byte unmodifiedType, bool isRequired) => 0;

        public byte GetPinnedType(byte elementType) => 0;

        public byte GetPointerType(byte elementType) => 0;

        public byte GetPrimitiveType(PrimitiveTypeCode typeCode) => 0;

        public byte GetSZArrayType(byte elementType) => 0;

        private byte Note(EntityHandle handle)
        {
            edges.Visit(handle);
            return 0;
        }
    }
}
