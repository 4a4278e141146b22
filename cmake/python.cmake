# The shared core and the Cython modules, installed side by side in pystream/_native.
find_package(Python COMPONENTS Interpreter Development.Module REQUIRED)
find_package(Cython MODULE REQUIRED VERSION 3.0)
include(UseCython)

if(APPLE)
  set(origin "@loader_path")
else()
  set(origin "$ORIGIN")
endif()

add_library(pystream_core SHARED $<TARGET_OBJECTS:pystream_objects>)
target_link_libraries(pystream_core PUBLIC pystream_common)
install(TARGETS pystream_core LIBRARY DESTINATION pystream/_native)

file(GLOB pyx_files CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} pystream/_native/*.pyx)
foreach(pyx IN LISTS pyx_files)
  get_filename_component(name ${pyx} NAME_WE)
  cython_transpile(${pyx} LANGUAGE C OUTPUT_VARIABLE generated
    MODULE_NAME pystream._native.${name}
    CYTHON_ARGS -3 -I ${CMAKE_CURRENT_SOURCE_DIR})
  python_add_library(native_${name} MODULE WITH_SOABI ${generated})
  set_target_properties(native_${name} PROPERTIES
    OUTPUT_NAME ${name} INSTALL_RPATH ${origin} BUILD_WITH_INSTALL_RPATH ON)
  target_link_libraries(native_${name} PRIVATE pystream_core)
  target_compile_definitions(native_${name} PRIVATE _GNU_SOURCE)
  install(TARGETS native_${name} LIBRARY DESTINATION pystream/_native)
endforeach()
