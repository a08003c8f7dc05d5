# How a folder of src/ becomes a library and a test program.

add_library(attune_options INTERFACE)
# GCC 12 warns of overlap inside std::string's own operator+ (GCC bug 105651).
target_compile_options(attune_options INTERFACE -Wall -Wextra $<$<BOOL:${ATTUNE_WERROR}>:-Werror>
                                                $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(attune_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(attune_options INTERFACE ATTUNE_VERSION="${PROJECT_VERSION}")
if(ATTUNE_SANITIZE)
  target_compile_options(attune_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer
                                                  -fno-sanitize-recover=undefined)
  target_link_options(attune_options INTERFACE -fsanitize=address,undefined)
endif()

add_custom_target(sanitized)  # what `./dev test` builds of the sanitizer tree; the label of its tests, too

# A folder's files are compiled together (presets: CMAKE_UNITY_BUILD), which takes half the time. Not those that Highway
# includes once for each instruction set.
function(attune_compile_alone)
  foreach(source ${ARGN})
    set(targets)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})  # not made by the build
      file(STRINGS ${source} targets REGEX "hwy/foreach_target.h")
    endif()
    if(targets)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# attune_folder(name [KERNELS] [SANITIZED] SOURCES a.cc b.cc DEPENDS other attune folders LINKS external targets
#               TESTS x_test.cc)
# KERNELS: where the machine's time goes, worth the compiler's. SANITIZED: reads what comes from outside, or lies
# underneath, so its tests run under the sanitizers; not once more at full speed unless they are of KERNELS.
function(attune_folder name)
  cmake_parse_arguments(ARG "KERNELS;SANITIZED" "" "SOURCES;DEPENDS;LINKS;TESTS" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND attune_)
  attune_compile_alone(${ARG_SOURCES} ${ARG_TESTS})
  add_library(attune_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(attune_${name} PUBLIC attune_options ${ARG_DEPENDS} ${ARG_LINKS})
  if(ARG_KERNELS)
    target_compile_options(attune_${name} PRIVATE $<$<CONFIG:Release>:-O3>)
  endif()
  if(NOT ARG_TESTS OR NOT ATTUNE_TESTS)
    return()
  endif()
  if(ATTUNE_SANITIZE AND ARG_SANITIZED)
    attune_test(${name}_test SOURCES ${ARG_TESTS} DEPENDS ${name} LABELS sanitized)
    add_dependencies(sanitized ${name}_test)
  elseif(ATTUNE_SANITIZE OR ATTUNE_SANITIZED_TESTS OR ARG_KERNELS OR NOT ARG_SANITIZED)
    attune_test(${name}_test SOURCES ${ARG_TESTS} DEPENDS ${name})
  endif()
endfunction()

# One GoogleTest program; every test case is its own CTest entry, PROGRAM.SUITE.CASE.
function(attune_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINKS;LABELS" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND attune_)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} ${ARG_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE ATTUNE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)  # compiles in two thirds of the time
  gtest_discover_tests(${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST PROPERTIES LABELS "${ARG_LABELS}")
endfunction()

# The Pythons of tests that compare with the libraries of tests/requirements*.txt: that of a virtual environment which
# ./dev test makes (those of llama.cpp and torch: ./dev test --full), else the system's, with which they skip.
foreach(environment "" -llama -torch)
  string(REPLACE - _ name ${environment}_PYTHON)
  string(TOUPPER ATTUNE${name} name)
  set(python ${PROJECT_SOURCE_DIR}/.venv${environment}/bin/python)
  if(NOT EXISTS ${python})
    set(python python3)
  endif()
  if(NOT ${name})
    set(${name} ${python})
  endif()
endforeach()

# attune_script_test(name COMMAND ${ATTUNE_PYTHON} script arguments): a test that is not GoogleTest's. One that cannot
# run here prints "SKIP: reason" and exits with 77. Those of the label "slow" run with `./dev test --full` only.
function(attune_script_test name)
  cmake_parse_arguments(ARG "" "" "COMMAND;LABELS" ${ARGN})
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${ARG_LABELS}")
endfunction()
