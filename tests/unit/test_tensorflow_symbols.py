"""is_tensorflow_symbol: on names as compilers mangle them (Itanium C++ ABI)."""

from __future__ import annotations

import time

import pytest

from metalock.audit.linking import is_tensorflow_symbol

C_NAMES = [
    "TF_NewStatus",
    "TF_GetInputPropertiesList",
    "TF_AssignUpdateVariable",
    "TFE_NewContext",
    "TFNPD_NewDeviceAllocator",
    "TSL_NewStatus",
    "SE_InitPlugin",
    "SP_InitPlatform",
    "TP_ProfilerStart",
]
CPP_NAMES = [
    "_ZN10tensorflow8internal10LogMessageC1EPKci",
    "_ZNK10tensorflow4data11DatasetBase8FinalizeEPNS_15OpKernelContextESt8functionIFN3tsl8StatusOrE",
    "_ZNK3tsl6Status8ToStringEv",
    "_ZN3tsl8internal10LogMessage16VmoduleActivatedEPKci",
    "_ZN3xla5ShapeC1Ev",
    "_ZN15stream_executor6StreamC1Ev",
    "_ZN4mlir6detail17InterfaceMapD1Ev",
    "_ZN4absl12lts_2023080213hash_internal15MixingHashState5kSeedE",
    "_ZN6google8protobuf11MessageLite15ParseFromStringESt17basic_string_viewIcSt11char_traitsIcEE",
    "_ZTVN10tensorflow8OpKernelE",
    "_ZTIN10tensorflow8OpKernelE",
    "_ZTSN10tensorflow8OpKernelE",
    "_ZGVZN6google8protobuf8internal12ShutdownData3getEvE4data",
    "_ZZN4absl12lts_2023080218container_internal10EmptyGroupEvE11empty_group",
    "_ZThn16_N10tensorflow8OpKernelD1Ev",
    "_ZTWN3tsl7contextE",
    "_ZNO4absl12lts_202308025Span5valueEv",
    "_ZNKR4absl12lts_202308025Span5valueEv",
    "_ZN10tensorflow6tensor6ConcatERKN4absl12lts_202308024SpanIKNS_6TensorEEEPS4_",
    # Not in their namespaces, yet of their types: nobody else can have them.
    "_ZNSt3__16vectorIN10tensorflow6TensorENS_9allocatorIS2_EEE9push_backEOS2_",
    "_ZNSt6vectorIN10tensorflow6TensorESaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17E",
    "_ZN12metal_plugin15TensorShapeBaseINS_11TensorShapeEE8InitDimsEN4absl14lts_2020_02_254SpanIKxEE",
    "_ZlsRSoRKN3tsl6StatusE",
]
OTHERS = [
    "malloc",
    "memcpy",
    "iconv_open",
    "PyList_New",
    "TF",
    "TF_",
    "TF_lowercase",
    "TIFFOpen",
    "SSL_new",
    "MTF_NewStatus",
    "XTF_NewStatus",
    "objc_msgSend",
    "OBJC_CLASS_$_MPSGraph",
    "_Znwm",
    "_ZdlPvSt11align_val_t",
    "_ZTISt12out_of_range",
    "_ZTVN10__cxxabiv117__class_type_infoE",
    "_ZNSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE6appendEPKcm",
    "_ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm",
    "_ZN4avro11ValidSchemaC1Ev",
    "_ZN7testing4Test5SetUpEv",
    "_ZN4arrow6Status2OKEv",
    # Those letters, but another length: 13tslxxxxxxxxxx is no namespace tsl.
    "_ZN3foo13tslSomethingsEv",
    "_ZN3foo14abslSomethings3barEv",
    "_ZN13tslSomethings3barEv",
    "_ZN110tensorflow3barEv",
    "_Z10tensorflowv",
    "_Z3tslv",
    "_ZN15mlirSomethings13barEv",
]


@pytest.mark.parametrize("name", C_NAMES + CPP_NAMES)
def test_tensorflows(name: str) -> None:
    assert is_tensorflow_symbol(name), "as ELF has it"
    assert is_tensorflow_symbol(f"_{name}"), "as Mach-O has it"


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    assert not is_tensorflow_symbol(name)
    assert not is_tensorflow_symbol(f"_{name}")


@pytest.mark.parametrize(
    "unit", ["N", "NK", "KN", "I", "S", "a", "1", "10tensorflo", "N10tensorflo", "3ts", "_", "TF", "é"]
)
def test_long_names_take_no_longer_than_their_length(unit: str) -> None:
    name = "_ZN" + unit * 200_000
    start = time.perf_counter()
    assert not is_tensorflow_symbol(name)
    assert not is_tensorflow_symbol(name.removeprefix("_ZN"))
    assert time.perf_counter() - start < 2
